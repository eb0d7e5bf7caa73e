"""Simulate the Elastic Beanstalk calls that create, terminate and describe environments."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex
from typing import Any

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, query_answer, text

# The message of Elastic Beanstalk (eb CLI, AWS CLI).
_UNKNOWN = "No Environment found for EnvironmentName = '{name}'."

_NO_ID = b"<EnvironmentId></EnvironmentId>"


class Beanstalk:
    def __init__(self, backends: Backends) -> None:
        self.backends = backends

    def answer(self, call: Call) -> Answer:
        if call.action == "CreateEnvironment":
            with self.backends.lock:
                answer = self.backends.ask(call)
                return (
                    replace(answer, body=answer.body.replace(*self._set_id(call))) if answer.status == 200 else answer
                )
        if call.action == "TerminateEnvironment":
            with self.backends.lock:
                environments, environment = self._find_environment(call)
                del environments[environment.environment_name]
            return query_answer(call, _named(environment) + text("Status", "Terminating"))
        if call.action == "DescribeConfigurationSettings":
            # A setting that nobody chose is missing; the profile is such a setting.
            settings = f"<member>{_named(self._find_environment(call)[1])}<OptionSettings/></member>"
            return query_answer(call, f"<ConfigurationSettings>{settings}</ConfigurationSettings>")
        return self.backends.ask(call)

    def _set_id(self, call: Call) -> tuple[bytes, bytes]:
        environment = self._find_environment(call)[1]
        environment.environment_id = f"e-{token_hex(5)}"
        return _NO_ID, text("EnvironmentId", environment.environment_id).encode()

    def _find_environment(self, call: Call) -> tuple[dict[str, Any], Any]:
        name, environment_id = (call.params.get(f"Environment{part}") for part in ("Name", "Id"))
        for application in self.backends.beanstalk(call.account_id, call.region).applications.values():
            for one in application.environments.values():
                if one.environment_name == name or one.environment_id == environment_id:
                    return application.environments, one
        raise Refusal("InvalidParameterValue", _UNKNOWN.format(name=name or environment_id))


def _named(environment: Any) -> str:
    return text("ApplicationName", environment.application_name) + text("EnvironmentName", environment.environment_name)
