// The module with every file's descriptor, for gRPC server reflection.
import protobuf from "protobufjs";
import { generatedHeader } from "./definitions.ts";
import { fileDescriptors } from "./file-descriptors.ts";

/** Gives the text of the descriptor module. */
export function descriptorModule(root: protobuf.Root): string {
  const rows = fileDescriptors(root).map(
    ({ name, bytes }) => `  "${name}":\n    "${Buffer.from(bytes).toString("base64")}",\n`,
  );
  return `${generatedHeader}
/** Serialized \`google.protobuf.FileDescriptorProto\` in base64, by file name. */
export const descriptorsBase64: Readonly<Record<string, string>> = {
${rows.join("")}};
`;
}
