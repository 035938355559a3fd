// The module with every file's descriptor, for gRPC server reflection.
import { generatedHeader, loadDefinitions, packageFolder, protoFiles } from "./definitions.ts";
import { encodeFile, fileDescriptors } from "./file-descriptors.ts";

/** Gives the text of the descriptor module. */
export function descriptorModule(): string {
  const root = loadDefinitions(packageFolder, protoFiles, { keepCase: true });
  const rows = fileDescriptors(root).map((file) => {
    const base64 = Buffer.from(encodeFile(file)).toString("base64");
    return `  "${file.name}":\n    "${base64}",\n`;
  });
  return `${generatedHeader}
/** Serialized \`google.protobuf.FileDescriptorProto\` in base64, by file name. */
export const descriptorsBase64: Readonly<Record<string, string>> = {
${rows.join("")}};
`;
}
