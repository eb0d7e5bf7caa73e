"""How a `PracticeAccount` answers Elastic Beanstalk calls that create, terminate and describe environments."""

from __future__ import annotations

import re
from dataclasses import replace
from secrets import token_hex
from typing import Any

from iamframe.practice.backends import Backends
from iamframe.practice.calls import Answer, Call, Refusal, members, query_answer, text

# The message of Elastic Beanstalk (eb CLI, AWS CLI).
_UNKNOWN = "No Environment found for EnvironmentName = '{name}'."

_NO_ID = re.compile(rb"<EnvironmentId\s*/>|<EnvironmentId></EnvironmentId>")
_SETTING = ("ResourceName", "Namespace", "OptionName", "Value")


class Beanstalk:
    def __init__(self, backends: Backends) -> None:
        self.backends = backends

    def answer(self, call: Call) -> Answer:
        if call.action == "CreateEnvironment":
            with self.backends.lock:
                answer = self.backends.ask(call)
                return self._completed(call, answer) if answer.status == 200 else answer
        if call.action == "TerminateEnvironment":
            with self.backends.lock:
                environments, environment = self._find_environment(call)
                del environments[environment.environment_name]
            return query_answer(call, _named(environment) + text("Status", "Terminating"))
        if call.action == "DescribeConfigurationSettings":
            # On AWS, the answer also contains the default values of all other settings.
            environment = self._find_environment(call)[1]
            chosen = "".join(f"<member>{_setting(one)}</member>" for one in environment.option_settings)
            settings = f"{_named(environment)}<OptionSettings>{chosen}</OptionSettings>"
            return query_answer(call, f"<ConfigurationSettings><member>{settings}</member></ConfigurationSettings>")
        return self.backends.ask(call)

    def _completed(self, call: Call, answer: Answer) -> Answer:
        # moto keeps neither an id nor the settings.
        environment = self._find_environment(call)[1]
        environment.environment_id = f"e-{token_hex(5)}"
        environment.option_settings = members(call.params, "OptionSettings")
        return replace(answer, body=_NO_ID.sub(text("EnvironmentId", environment.environment_id).encode(), answer.body))

    def _find_environment(self, call: Call) -> tuple[dict[str, Any], Any]:
        name, environment_id = (call.params.get(f"Environment{part}") for part in ("Name", "Id"))
        for application in self.backends.beanstalk(call.account_id, call.region).applications.values():
            for one in application.environments.values():
                if one.environment_name == name or one.environment_id == environment_id:
                    return application.environments, one
        raise Refusal("InvalidParameterValue", _UNKNOWN.format(name=name or environment_id))


def _named(environment: Any) -> str:
    return text("ApplicationName", environment.application_name) + text("EnvironmentName", environment.environment_name)


def _setting(given: dict[str, str]) -> str:
    return "".join(text(name, given[name]) for name in _SETTING if name in given)
