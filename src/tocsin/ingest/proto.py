"""Message classes of protobuf made from a table of fields, for published schemas that no package ships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

Fields: TypeAlias = Mapping[str, tuple[int, str]]
"""Name of a field: its number and its type; `T*` is repeated, a name of the table is a message."""

_TYPES: Final = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}


def message_of(package: str, name: str, messages: Mapping[str, Fields]) -> Any:
    """The class of message `name` (proto3) of a package that has these messages.

    >>> M = message_of("doctest", "M", {"M": {"a": (1, "int64"), "of": (2, "M*")}})
    >>> M.FromString(M(a=1, of=[M(a=2)]).SerializeToString()).of[0].a
    2
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind) in fields.items():
            bare = kind.removesuffix("*")
            entry = message.field.add(name=field_name, number=number)
            entry.label = FieldDescriptorProto.LABEL_REPEATED if kind != bare else FieldDescriptorProto.LABEL_OPTIONAL
            if bare in _TYPES:
                entry.type = _TYPES[bare]
            else:
                entry.type = FieldDescriptorProto.TYPE_MESSAGE
                entry.type_name = f".{package}.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
