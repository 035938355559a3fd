// The types of one message or enum: what decoding gives (`Name`), what encoding takes (`IName`),
// and the type of the constant that has the functions.
import protobuf from "protobufjs";

/** Names a type, of decoding or (`asInit`) of encoding, and sees to it that it is imported. */
export type Refer = (object: protobuf.ReflectionObject, asInit: boolean) => string;

/** Declarations to put before the constant, and the type of the constant. */
export interface MessageTypes {
  readonly declarations: string;
  readonly valueType: string;
}

/** Writes the types of a message or enum, nested ones included. `refer` names other types. */
export function typesOf(object: protobuf.ReflectionObject, refer: Refer): MessageTypes {
  if (object instanceof protobuf.Enum) return enumTypes(object);
  if (object instanceof protobuf.Type) return messageTypes(object, refer);
  throw new Error(`${object.fullName} is neither message nor enum`);
}

function enumTypes(object: protobuf.Enum): MessageTypes {
  const entries = Object.entries(object.values);
  const known = entries.map(([name, value]) => `${name} = ${value}`);
  return {
    declarations: `${comment(object.comment ?? known.join(", "), "")}export type ${object.name} = number;\n`,
    valueType: `EnumObject<{ ${entries.map(([name, value]) => `readonly ${name}: ${value}`).join("; ")} }>`,
  };
}

function messageTypes(type: protobuf.Type, refer: Refer): MessageTypes {
  const nested = type.nestedArray.map((inner) => ({ inner, types: typesOf(inner, refer) }));
  const inner = nested.map(({ types }) => types.declarations.replaceAll(/^export /gm, ""));
  const space =
    nested.length === 0
      ? ""
      : `export declare namespace ${type.name} {\n${indented(inner.join(""))}}\n`;
  const extra = nested.map(
    ({ inner, types }) => ` & { readonly ${inner.name}: ${types.valueType} }`,
  );
  return {
    declarations: `${decodedType(type, refer)}${initType(type, refer)}${space}`,
    valueType: `MessageClass<${refer(type, false)}, ${refer(type, true)}>${extra.join("")}`,
  };
}

function decodedType(type: protobuf.Type, refer: Refer): string {
  const fields = type.fieldsArray.map((field) => {
    const absent = field.repeated || field.map ? "" : nullable(field);
    return `${comment(field.comment, "  ")}  ${field.name}: ${fieldType(field, refer, false)}${absent};\n`;
  });
  const oneofs = type.oneofsArray
    .filter((oneof) => !oneof.name.startsWith("_"))
    .map((oneof) => {
      const names = oneof.fieldsArray.map((field) => JSON.stringify(field.name));
      return `  /** Which of them is set. */\n  readonly ${oneof.name}?: ${names.join(" | ")} | undefined;\n`;
    });
  const about = comment(type.comment, "");
  return `${about}export interface ${type.name} {\n${[...fields, ...oneofs].join("")}}\n`;
}

function initType(type: protobuf.Type, refer: Refer): string {
  const fields = type.fieldsArray.map(
    (field) => `  ${field.name}?: ${fieldType(field, refer, true)} | null | undefined;\n`,
  );
  return `/** What encoding takes; fields left out have their defaults. */\nexport interface I${type.name} {\n${fields.join("")}}\n`;
}

/** Singular messages, optional fields and members of a oneof are null when they were not sent. */
function nullable(field: protobuf.Field): string {
  const presence = field.resolvedType instanceof protobuf.Type || field.partOf !== null;
  return presence ? " | null" : "";
}

function fieldType(field: protobuf.Field, refer: Refer, asInit: boolean): string {
  const single = singleType(field, refer, asInit);
  if (field.map) return `{ readonly [key: string]: ${single} }`;
  return field.repeated ? `readonly ${single}[]` : single;
}

function singleType(field: protobuf.Field, refer: Refer, asInit: boolean): string {
  const resolved = field.resolvedType;
  if (resolved instanceof protobuf.Type) return refer(resolved, asInit);
  if (resolved !== null) return refer(resolved, false);
  if (field.type === "string") return "string";
  if (field.type === "bool") return "boolean";
  return field.type === "bytes" ? "Uint8Array" : "number";
}

function comment(text: string | null | undefined, indent: string): string {
  if (text === null || text === undefined || text === "") return "";
  const lines = text.replaceAll("*/", "* /").split("\n");
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}
