// gRPC server reflection, v1 and v1alpha, from serialized file descriptors.
import { DescriptorIndex } from "./descriptor-index.ts";
import { healthDescriptor, healthFileName } from "./health-descriptor.ts";
import { GrpcStatus, RpcError } from "./status.ts";
import type { BidiStream, MethodHandler } from "./types.ts";
import { fieldsOf, MessageWriter, text, type WireField } from "./wire.ts";

// Field numbers of ServerReflectionRequest.
const byFilename = 3;
const bySymbol = 4;
const byExtension = 5;
const extensionNumbers = 6;
const listServices = 7;
// Field numbers of ServerReflectionResponse.
const originalRequest = 2;
const fileDescriptors = 4;
const extensionNumbersAnswer = 5;
const servicesAnswer = 6;
const errorAnswer = 7;

const requestSizeMax = 65_536;

/** The reflection methods for services with these descriptions, and for the health service. */
export function reflectionMethods(services: {
  readonly names: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}): Map<string, MethodHandler> {
  const names = [...services.names, "grpc.health.v1.Health"];
  const index = new DescriptorIndex(
    new Map([...services.files, [healthFileName, healthDescriptor()]]),
  );
  const method: MethodHandler = {
    kind: "bidi",
    requestSizeMax,
    handle: async (stream: BidiStream) => {
      for await (const request of stream.messages) {
        if (!stream.write(answer(request, names, index))) await stream.drained();
      }
    },
  };
  return new Map([
    ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", method],
    ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", method],
  ]);
}

function answer(request: Uint8Array, names: readonly string[], index: DescriptorIndex): Uint8Array {
  const writer = new MessageWriter();
  const question = fieldsOf(request).findLast((field) => field.number >= byFilename);
  writer.bytes(originalRequest, request);
  try {
    const part = question === undefined ? undefined : answerTo(question, names, index);
    if (part === undefined) throw new RpcError(GrpcStatus.invalidArgument, "nothing was asked");
    writer.bytes(part.field, part.bytes);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    writer.bytes(
      errorAnswer,
      new MessageWriter().number(1, error.status).bytes(2, error.message).finish(),
    );
  }
  return writer.finish();
}

interface Part {
  readonly field: number;
  readonly bytes: Uint8Array;
}

function answerTo(
  question: WireField,
  names: readonly string[],
  index: DescriptorIndex,
): Part | undefined {
  switch (question.number) {
    case byFilename:
      return files(index.byName(text(question)));
    case bySymbol:
      return files(index.bySymbol(text(question)));
    case byExtension:
      return files(index.byExtension(...extensionOf(question.bytes)));
    case extensionNumbers:
      return extensionsOf(text(question), index);
    case listServices: {
      const list = new MessageWriter();
      for (const name of names) list.bytes(1, new MessageWriter().bytes(1, name).finish());
      return { field: servicesAnswer, bytes: list.finish() };
    }
    default:
      return undefined;
  }
}

function extensionOf(request: Uint8Array): [typeName: string, number: number] {
  let typeName = "";
  let number = 0;
  for (const field of fieldsOf(request)) {
    if (field.number === 1) typeName = text(field);
    if (field.number === 2) number = field.value;
  }
  return [typeName, number];
}

function extensionsOf(typeName: string, index: DescriptorIndex): Part {
  const writer = new MessageWriter().bytes(1, typeName);
  for (const number of index.extensionNumbers(typeName)) writer.number(2, number);
  return { field: extensionNumbersAnswer, bytes: writer.finish() };
}

function files(found: readonly Uint8Array[] | undefined): Part {
  if (found === undefined) throw new RpcError(GrpcStatus.notFound, "not found");
  const writer = new MessageWriter();
  for (const file of found) writer.bytes(1, file);
  return { field: fileDescriptors, bytes: writer.finish() };
}
