// One module per service: its calls with paths, kinds and codecs. Apart from the messages, so that
// a service nobody imports makes no codecs.
import protobuf from "protobufjs";
import { generatedHeader, localName, moduleOf, topLevelObjects } from "./definitions.ts";

/** Name of the generated constant and module of each service. */
const names: Readonly<Record<string, { readonly constant: string; readonly module: string }>> = {
  ".apache.rocketmq.v2.MessagingService": {
    constant: "messagingService",
    module: "messaging-service",
  },
  ".apache.rocketmq.v2.Admin": { constant: "adminService", module: "admin-service" },
  ".cometmq.v1.NameServer": { constant: "nameServerService", module: "name-server-service" },
  ".cometmq.v1.BrokerAdmin": { constant: "brokerAdminService", module: "broker-admin-service" },
};

/** Gives the text of each service module by file name. */
export function serviceModules(root: protobuf.Root): Map<string, string> {
  const modules = new Map<string, string>();
  for (const object of topLevelObjects(root)) {
    if (!(object instanceof protobuf.Service)) continue;
    const name = names[object.fullName];
    if (name === undefined) throw new Error(`${object.fullName} has no module`);
    modules.set(`${name.module}.ts`, serviceText(object, name.constant));
  }
  return modules;
}

function serviceText(service: protobuf.Service, constant: string): string {
  const messages = new Map<string, protobuf.Type>();
  const types: string[] = [];
  const values: string[] = [];
  const fullName = service.fullName.slice(1);
  for (const method of service.methodsArray) {
    const [request, response] = [method.resolvedRequestType, method.resolvedResponseType];
    if (request === null || response === null) throw new Error(`${method.fullName} is unresolved`);
    messages.set(request.fullName, request);
    messages.set(response.fullName, response);
    const pair = [request, response].map((type) => `${localName(type)}, I${localName(type)}`);
    const kind = kindOf(method);
    types.push(
      `    ${doc(method)}readonly ${method.name}: Method<"${kind}", ${pair.join(", ")}>;\n`,
    );
    values.push(`    ${method.name}: {
      path: "/${fullName}/${method.name}",
      kind: "${kind}",
      request: codecOf(${localName(request)}, "${localName(request)}"),
      response: codecOf(${localName(response)}, "${localName(response)}"),
    },\n`);
  }
  return `${generatedHeader}import { codecOf, type Method } from "../codec.ts";
${importLines([...messages.values()])}
/** The calls of ${fullName}. */
export const ${constant}: {
  readonly name: "${fullName}";
  readonly methods: {
${types.join("")}  };
} = {
  name: "${fullName}",
  methods: {
${values.join("")}  },
};
`;
}

function kindOf(method: protobuf.Method): string {
  if (method.requestStream) return method.responseStream ? "bidi" : "clientStream";
  return method.responseStream ? "serverStream" : "unary";
}

function doc(method: protobuf.Method): string {
  const text = method.comment ?? "";
  // A heading above the call is no comment on it.
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("----"));
  return lines.length === 0 ? "" : `/** ${lines.join(" ")} */\n    `;
}

function importLines(messages: readonly protobuf.Type[]): string {
  const byModule = new Map<string, string[]>();
  for (const message of messages) {
    const list = byModule.get(moduleOf(message)) ?? [];
    byModule.set(moduleOf(message), [...list, localName(message), `type I${localName(message)}`]);
  }
  return [...byModule]
    .map(([module, list]) => `import {\n  ${list.join(",\n  ")},\n} from "./${module}.ts";\n`)
    .join("");
}
