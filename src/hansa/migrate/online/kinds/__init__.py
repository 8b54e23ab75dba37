"""The kinds of online operations, by the name that meta.toml gives them. Each is a frozen dataclass of its entries."""

from collections.abc import Mapping
from typing import Any

from hansa.migrate.online.kinds.add_check import AddCheck
from hansa.migrate.online.kinds.add_column import AddColumn
from hansa.migrate.online.kinds.add_foreign_key import AddForeignKey
from hansa.migrate.online.kinds.add_not_null import AddNotNull
from hansa.migrate.online.kinds.add_unique import AddUnique
from hansa.migrate.online.kinds.change_type import ChangeType
from hansa.migrate.online.kinds.contract import Contract
from hansa.migrate.online.kinds.contract_partition import ContractPartition
from hansa.migrate.online.kinds.contract_rename import ContractRename
from hansa.migrate.online.kinds.contract_type import ContractType
from hansa.migrate.online.kinds.convert_to_enum import ConvertToEnum
from hansa.migrate.online.kinds.create_index import CreateIndex
from hansa.migrate.online.kinds.extend_enum import ExtendEnum
from hansa.migrate.online.kinds.partition_table import PartitionTable
from hansa.migrate.online.kinds.rename_column import RenameColumn
from hansa.migrate.online.kinds.set_aside import SetAside

KINDS: Mapping[str, type[Any]] = {
    "add_check": AddCheck,
    "add_column": AddColumn,
    "add_foreign_key": AddForeignKey,
    "add_not_null": AddNotNull,
    "add_unique": AddUnique,
    "change_type": ChangeType,
    "contract": Contract,
    "contract_partition": ContractPartition,
    "contract_rename": ContractRename,
    "contract_type": ContractType,
    "convert_to_enum": ConvertToEnum,
    "create_index": CreateIndex,
    "extend_enum": ExtendEnum,
    "partition_table": PartitionTable,
    "rename_column": RenameColumn,
    "set_aside": SetAside,
}
"""Each implements `hansa.migrate.online.operation.Operation`."""
