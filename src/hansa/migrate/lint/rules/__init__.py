"""All rules, in the order in which they are documented."""

from hansa.migrate.lint.rules.data import drop_after_update, else_coercion, enum_add_value_used, unbatched_update
from hansa.migrate.lint.rules.locks import (
    fk_not_valid_missing,
    index_not_concurrent,
    not_null_with_drop_check,
    set_not_null_scan,
    volatile_default_rewrite,
)
from hansa.migrate.lint.rules.meaning import (
    cascade_drop,
    if_not_exists_column,
    if_not_exists_table,
    name_too_long,
    search_path_missing_schema,
    unique_nullable,
    view_without_security_invoker,
)
from hansa.migrate.lint.rules.replaced import lost_index, lost_not_null
from hansa.migrate.lint.rules.rule import Rule
from hansa.migrate.lint.rules.undoing import down_does_not_undo

RULES: tuple[Rule, ...] = (
    else_coercion,
    drop_after_update,
    lost_not_null,
    lost_index,
    unbatched_update,
    enum_add_value_used,
    if_not_exists_table,
    if_not_exists_column,
    search_path_missing_schema,
    name_too_long,
    cascade_drop,
    unique_nullable,
    view_without_security_invoker,
    not_null_with_drop_check,
    set_not_null_scan,
    index_not_concurrent,
    fk_not_valid_missing,
    volatile_default_rewrite,
    down_does_not_undo,
)

__all__ = ["RULES", "Rule"]
