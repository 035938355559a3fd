// Makes `FileDescriptorProto`s, as protoc would, from definitions that protobufjs has read with
// `keepCase`. protobufjs' own conversion merges the files of a package and renames map entries.
import { readFileSync } from "node:fs";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import { fileOf, packageFolder, topLevelObjects } from "./definitions.ts";

/** Numbers of `FieldDescriptorProto.Type`. */
const scalarTypes: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const messageType = 11;
const enumType = 14;
const optionalLabel = 1;
const repeatedLabel = 3;

/** The fields of `FieldDescriptorProto` that are used here. */
export interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label: number;
  readonly type: number;
  readonly typeName?: string;
  readonly oneofIndex?: number;
  readonly proto3Optional?: boolean;
}

/** The fields of `EnumDescriptorProto` that are used here. */
export interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number: number }[];
}

/** The fields of `DescriptorProto` that are used here. */
export interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly nestedType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly oneofDecl: readonly { readonly name: string }[];
  readonly options?: { readonly mapEntry: true };
}

/** The fields of `ServiceDescriptorProto` that are used here. */
export interface ServiceDescriptor {
  readonly name: string;
  readonly method: readonly {
    readonly name: string;
    readonly inputType: string;
    readonly outputType: string;
    readonly clientStreaming: boolean;
    readonly serverStreaming: boolean;
  }[];
}

/** The fields of `FileDescriptorProto` that are used here. */
export interface FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly MessageDescriptor[];
  readonly enumType: readonly EnumDescriptor[];
  readonly service: readonly ServiceDescriptor[];
  readonly syntax: "proto3";
}

/** Descriptors of all files of a root, in the order in which they depend on each other. */
export function fileDescriptors(root: protobuf.Root): FileDescriptor[] {
  const byFile = new Map<string, protobuf.ReflectionObject[]>();
  for (const object of topLevelObjects(root)) {
    const file = fileOf(object);
    byFile.set(file, [...(byFile.get(file) ?? []), object]);
  }
  const order = [...byFile.keys()].sort();
  return order.map((file) => describeFile(file, byFile.get(file) ?? []));
}

/** Serializes one. */
export function encodeFile(file: FileDescriptor): Uint8Array {
  const { FileDescriptorProto } = descriptor;
  return FileDescriptorProto.encode(FileDescriptorProto.fromObject({ ...file })).finish();
}

function describeFile(name: string, objects: readonly protobuf.ReflectionObject[]): FileDescriptor {
  const space = objects[0]?.parent?.fullName.slice(1) ?? "";
  return {
    name,
    package: space,
    dependency: importsOf(name),
    messageType: objects.filter((object) => object instanceof protobuf.Type).map(describeMessage),
    enumType: objects.filter((object) => object instanceof protobuf.Enum).map(describeEnum),
    service: objects.filter((object) => object instanceof protobuf.Service).map(describeService),
    syntax: "proto3",
  };
}

function importsOf(name: string): string[] {
  if (name.startsWith("google/")) return [];
  const text = readFileSync(`${packageFolder}${name}`, "utf8");
  return [...(protobuf.parse(text, { keepCase: true }).imports ?? [])];
}

/** Describes a message, enum or service. */
export function describeObject(
  object: protobuf.ReflectionObject,
): MessageDescriptor | EnumDescriptor | ServiceDescriptor {
  if (object instanceof protobuf.Type) return describeMessage(object);
  if (object instanceof protobuf.Enum) return describeEnum(object);
  if (object instanceof protobuf.Service) return describeService(object);
  throw new Error(`${object.fullName} cannot be described`);
}

/** Describes a message with all that is inside. */
function describeMessage(type: protobuf.Type): MessageDescriptor {
  // Oneofs that stand for one optional field come last, as protoc has it.
  const oneofs = [
    ...type.oneofsArray.filter((oneof) => !isSynthetic(oneof)),
    ...type.oneofsArray.filter(isSynthetic),
  ];
  const nested = type.nestedArray;
  const maps = type.fieldsArray.filter((field) => field instanceof protobuf.MapField);
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => describeField(type, field, oneofs)),
    nestedType: [
      ...maps.map(describeMapEntry),
      ...nested.filter((inner) => inner instanceof protobuf.Type).map(describeMessage),
    ],
    enumType: nested.filter((inner) => inner instanceof protobuf.Enum).map(describeEnum),
    oneofDecl: oneofs.map((oneof) => ({ name: oneof.name })),
  };
}

/** Whether a oneof only stands for the presence of one optional field. */
function isSynthetic(oneof: protobuf.OneOf): boolean {
  return oneof.name.startsWith("_");
}

function describeField(
  type: protobuf.Type,
  field: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
): FieldDescriptor {
  if (field instanceof protobuf.MapField) {
    const typeName = `${type.fullName}.${entryName(field)}`;
    const [name, number] = [field.name, field.id];
    return { name, number, label: repeatedLabel, type: messageType, typeName };
  }
  const { partOf } = field;
  return {
    name: field.name,
    number: field.id,
    label: field.repeated ? repeatedLabel : optionalLabel,
    ...valueType(field),
    ...(partOf === null ? {} : { oneofIndex: oneofs.indexOf(partOf) }),
    ...(partOf !== null && isSynthetic(partOf) ? { proto3Optional: true } : {}),
  };
}

function describeMapEntry(field: protobuf.MapField): MessageDescriptor {
  const key = scalarTypes[field.keyType];
  if (key === undefined) throw new Error(`${field.fullName} has no scalar key`);
  return {
    name: entryName(field),
    field: [
      { name: "key", number: 1, label: optionalLabel, type: key },
      { name: "value", number: 2, label: optionalLabel, ...valueType(field) },
    ],
    nestedType: [],
    enumType: [],
    oneofDecl: [],
    options: { mapEntry: true },
  };
}

/** `user_properties` has entries of type `UserPropertiesEntry`. */
function entryName(field: protobuf.MapField): string {
  const words = field.name.split("_");
  return `${words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("")}Entry`;
}

function valueType(field: protobuf.FieldBase): { type: number; typeName?: string } {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type)
    return { type: messageType, typeName: resolvedType.fullName };
  if (resolvedType !== null) return { type: enumType, typeName: resolvedType.fullName };
  const type = scalarTypes[field.type];
  if (type === undefined) throw new Error(`${field.fullName} is of unknown type ${field.type}`);
  return { type };
}

/** Describes an enum. */
function describeEnum(object: protobuf.Enum): EnumDescriptor {
  const value = Object.entries(object.values).map(([name, number]) => ({ name, number }));
  return { name: object.name, value };
}

/** Describes a service. */
function describeService(service: protobuf.Service): ServiceDescriptor {
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      inputType: method.resolvedRequestType?.fullName ?? method.requestType,
      outputType: method.resolvedResponseType?.fullName ?? method.responseType,
      clientStreaming: method.requestStream ?? false,
      serverStreaming: method.responseStream ?? false,
    })),
  };
}
