// The shapes that the generated modules give to what protobufjs has made: types of messages, of
// enums, and of services. Types only, and the two small functions that make codecs from them.

/** A message as generated: `T` is what decoding gives, `I` what encoding takes. */
export interface MessageClass<T, I> {
  /** Makes a message object from the given fields; the others have their defaults. */
  new (properties?: I): T;
  /** Starts a writer or goes on with one. Prefer a `Codec`. */
  encode(message: I): { finish(): Uint8Array };
  /** Reads a message. Bytes fields are views of `bytes`. Prefer a `Codec`. */
  decode(bytes: Uint8Array): T;
}

/** An enum as generated: numbers by name, and names by number for those that are known. */
export type EnumObject<T> = T & { readonly [value: number]: string };

/** Turns values into bytes and back. `T` is what decoding gives, `I` what encoding takes. */
export interface Codec<T, I = T> {
  /** The bytes are the caller's. */
  encode(value: I): Uint8Array;
  /** Bytes fields of the result are views of `bytes`. Throws `ProtoError` when they are broken. */
  decode(bytes: Uint8Array): T;
}

/** How many messages travel each way. */
export type MethodKind = "unary" | "serverStream" | "clientStream" | "bidi";

/** One call of a service. */
export interface Method<K extends MethodKind, Req, IReq, Res, IRes> {
  /** What the `:path` header holds, for example `/apache.rocketmq.v2.MessagingService/SendMessage`. */
  readonly path: string;
  readonly kind: K;
  readonly request: Codec<Req, IReq>;
  readonly response: Codec<Res, IRes>;
}

/** Bytes that are not a message of the wanted type: cut off, wrong wire type, text that is not UTF-8. */
export class ProtoError extends Error {
  override readonly name = "ProtoError";
}

/** Makes the codec of a generated message type. */
export function codecOf<T, I>(type: MessageClass<T, I>, typeName: string): Codec<T, I> {
  return {
    encode: (value) => type.encode(value).finish(),
    decode: (bytes) => {
      try {
        return type.decode(bytes);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new ProtoError(`not a valid ${typeName}: ${reason}`, { cause: error });
      }
    },
  };
}
