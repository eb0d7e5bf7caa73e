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
    text("resource_name?", "its name; in the account, if it is there"),
    text("resource_arn?", "its ARN; in the account, if it is there"),
    text("state_file?", "the state or plan that manages it; missing if none does"),
    text("state_address?", "its address there, such as `module.web.aws_iam_role.this[0]`"),
    text("tag_key?", "key of the tag that differs"),
    text("state_value?", "role, path, id or tag value in the state; missing if there is none"),
    text("account_value?", "the same in the account"),
    text("detail", "the difference as a sentence"),
    text("message", "id of the message in `detail`"),
    text("facts", "the values in that message, as JSON"),
)
