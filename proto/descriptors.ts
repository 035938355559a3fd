// Descriptors of the .proto files, which gRPC server reflection hands out.

/**
 * Gives the serialized `google.protobuf.FileDescriptorProto` of each file by the name under which
 * it is imported, the well-known ones included. Loaded when first asked for: few calls need it.
 */
export async function loadFileDescriptors(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { descriptorsBase64 } = await import("./generated/descriptors.ts");
  return new Map(
    Object.entries(descriptorsBase64).map(([name, text]) => [name, Buffer.from(text, "base64")]),
  );
}
