// One header field, with what a request needs to know about it worked out once, when it is decoded:
// fields live on in the dynamic table and are met again in every call.
import { staticTable } from "./hpack-static-table.ts";

/** Names that mean something to a request; all others are `other`. */
export const FieldKind = {
  other: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  badPseudo: 5,
  contentType: 6,
  te: 7,
  timeout: 8,
  encoding: 9,
  contentLength: 10,
  /** Belongs to HTTP/1.1 connections and makes an HTTP/2 request malformed. */
  forbidden: 11,
  host: 12,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/** A decoded field. `malformed`: name or value hold characters that RFC 9113 section 8.2.1 forbids. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
  /** As RFC 7541 counts it: name, value and 32. */
  readonly size: number;
  readonly kind: FieldKind;
  readonly malformed: boolean;
}

const kinds: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  [":method", FieldKind.method],
  [":scheme", FieldKind.scheme],
  [":path", FieldKind.path],
  [":authority", FieldKind.authority],
  ["content-type", FieldKind.contentType],
  ["te", FieldKind.te],
  ["grpc-timeout", FieldKind.timeout],
  ["grpc-encoding", FieldKind.encoding],
  ["content-length", FieldKind.contentLength],
  ["host", FieldKind.host],
  ["connection", FieldKind.forbidden],
  ["keep-alive", FieldKind.forbidden],
  ["proxy-connection", FieldKind.forbidden],
  ["transfer-encoding", FieldKind.forbidden],
  ["upgrade", FieldKind.forbidden],
]);

const validName = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const invalidCharacter = /[\0\r\n]/;

function invalidValue(value: string): boolean {
  const size = value.length;
  if (size === 0) return false;
  return (
    isSpace(value.charCodeAt(0)) ||
    isSpace(value.charCodeAt(size - 1)) ||
    invalidCharacter.test(value)
  );
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Makes a field of a name, or of another field's name, and a value. */
export function fieldOf(name: string | HeaderField, value: string): HeaderField {
  if (typeof name !== "string") {
    return {
      name: name.name,
      value,
      size: name.name.length + value.length + 32,
      kind: name.kind,
      malformed: invalidValue(value) || (name.malformed && !validName.test(name.name)),
    };
  }
  return {
    name,
    value,
    size: name.length + value.length + 32,
    kind: kinds.get(name) ?? (name.startsWith(":") ? FieldKind.badPseudo : FieldKind.other),
    malformed: !validName.test(name) || invalidValue(value),
  };
}

/** The static table; index 0 is not used. */
export const staticFields: readonly (HeaderField | undefined)[] = [
  undefined,
  ...staticTable.map(([name, value]) => fieldOf(name, value)),
];
