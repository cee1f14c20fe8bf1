// Neon's own OpenAPI document, as its client brings it: whether an answer is what it says.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parse } from "yaml";

const client = dirname(createRequire(import.meta.url).resolve("@neondatabase/api-client/package.json"));
const document = parse(readFileSync(join(client, "public-v2-for-users.gen.yaml"), "utf8"));

const METHODS = ["get", "post", "put", "patch", "delete"];

const operations = new Map();
for (const [path, item] of Object.entries(document.paths)) {
  for (const method of METHODS.filter((method) => item[method])) {
    operations.set(item[method].operationId, { method, path, responses: item[method].responses });
  }
}

function resolved(node) {
  return node?.$ref ? resolved(node.$ref.slice(2).split("/").reduce((inner, name) => inner?.[name], document)) : node;
}

const KINDS = {
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  integer: Number.isSafeInteger,
  number: Number.isFinite,
  array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

// The first thing that is wrong with a value, or nothing. A field that the schema does not have is no fault.
function problem(node, value, at) {
  const schema = resolved(node);
  if (!schema) return undefined;
  if (value === null) return schema.nullable ? undefined : `${at} is null`;
  if (schema.type && !KINDS[schema.type](value)) return `${at} is no ${schema.type}: ${JSON.stringify(value)}`;
  if (schema.enum && !schema.enum.includes(value)) return `${at} is not among ${schema.enum}: ${value}`;
  if (schema.pattern && typeof value === "string" && !new RegExp(schema.pattern).test(value)) return `${at} does not match ${schema.pattern}: ${value}`;
  if (schema.format === "date-time" && !DATE_TIME.test(value)) return `${at} is no time: ${value}`;
  for (const part of schema.allOf ?? []) {
    const found = problem(part, value, at);
    if (found) return found;
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) return `${at}.${name} is missing`;
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const found = value[name] === undefined ? undefined : problem(inner, value[name], `${at}.${name}`);
    if (found) return found;
  }
  if (schema.items) {
    for (const [place, item] of value.entries()) {
      const found = problem(schema.items, item, `${at}[${place}]`);
      if (found) return found;
    }
  }
  return undefined;
}

// What is wrong with an answer's body, by Neon's document, or nothing.
export function problemWith(operationId, status, body) {
  const operation = operations.get(operationId);
  if (!operation) return `Neon has no operation ${operationId}`;
  const response = resolved(operation.responses[status] ?? operation.responses.default);
  if (!operation.responses[status] && status < 400) return `Neon does not answer ${operationId} with ${status}`;
  return problem(response?.content?.["application/json"]?.schema, body, operationId);
}

export const operationIds = [...operations.keys()];
