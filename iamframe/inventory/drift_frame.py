"""The frame of differences between Terraform and the account."""

from __future__ import annotations

from iamframe.inventory.frame import ACCOUNT_ID, Frame, text

DRIFT = Frame(
    "drift",
    "difference between Terraform and the account; for tags, one per key",
    ("kind", "resource_arn", "state_file", "state_address", "tag_key", "message"),
).with_columns(
    text(
        "kind", "role_lost, other_role, gone, recreated, path, tags, unmanaged, unknown (not collected: no difference)"
    ),
    ACCOUNT_ID,
    text("resource_type?", "role or instance-profile"),
    text("resource_name?", "name of the resource; if the account has the resource, its name there"),
    text("resource_arn?", "ARN of the resource; if the account has the resource, its ARN there"),
    text("state_file?", "the state or plan that manages the resource; missing if none does"),
    text("state_address?", "address in that state, such as `module.web.aws_iam_role.this[0]`"),
    text("tag_key?", "key of the tag that differs"),
    text("state_value?", "role, path, id or tag value in the state; missing if there is none"),
    text("account_value?", "role, path, id or tag value in the account; missing if there is none"),
    text("detail", "the difference as a sentence"),
    text("message", "id of the message in `detail`"),
    text("facts", "values in the message, as JSON"),
)
