// Shows openapi.json. What comes from the document is set as text only.
"use strict";

const element = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
};

const nameOf = (schema) => schema.$ref.split("/").pop();

// A schema as one would write an example of it: types in the places of values, optional fields with "?".
function outline(schema, schemas, indent = "", seen = []) {
  if (!schema) return "any";
  if (schema.$ref) {
    const name = nameOf(schema);
    return seen.includes(name) ? name : outline(schemas[name], schemas, indent, [...seen, name]);
  }
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return choices.map((choice) => outline(choice, schemas, indent, seen)).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.type === "array") return `[${outline(schema.items, schemas, indent, seen)}]`;
  if (schema.properties) {
    const deeper = `${indent}  `;
    const required = schema.required || [];
    const fields = Object.entries(schema.properties).map(([name, field]) => {
      const about = field.description ? `  // ${field.description.replaceAll("\n", " ")}` : "";
      return `${deeper}${name}${required.includes(name) ? "" : "?"}: ${outline(field, schemas, deeper, seen)}${about}`;
    });
    return `{\n${fields.join("\n")}\n${indent}}`;
  }
  const type = [].concat(schema.type || "any").join(" or ");
  return schema.format ? `${type} (${schema.format})` : type;
}

function bodyOf(holder, schemas) {
  const content = holder && holder.content && holder.content["application/json"];
  return content ? element("pre", outline(content.schema, schemas)) : element("p", "no body");
}

function call(method, path, operation, schemas) {
  const summary = element("summary");
  const verb = element("span", method.toUpperCase());
  verb.className = "method";
  const what = element("span", operation.summary);
  what.className = "what";
  summary.append(verb, element("code", path), what);
  const details = element("details", "", summary);
  details.dataset.text = `${method} ${path} ${operation.operationId} ${JSON.stringify(operation)}`.toLowerCase();
  details.addEventListener("toggle", () => details.childElementCount > 1 || fill(details, operation, schemas));
  return details;
}

// Filled when it is first opened: there are many calls, and few are looked at.
function fill(details, operation, schemas) {
  if (operation.description) details.append(element("p", operation.description));
  if (operation.parameters && operation.parameters.length) {
    const row = (parameter) => element("tr", "",
      element("td", "", element("code", parameter.name)),
      element("td", `${parameter.in}${parameter.required ? ", required" : ""}`),
      element("td", outline(parameter.schema, schemas)),
      element("td", parameter.description));
    details.append(element("h3", "Parameters"), element("table", "", ...operation.parameters.map(row)));
  }
  if (operation.requestBody) details.append(element("h3", "Body"), bodyOf(operation.requestBody, schemas));
  for (const [status, response] of Object.entries(operation.responses)) {
    details.append(element("h3", `${status}: ${response.description}`), bodyOf(response, schemas));
  }
}

function show(api) {
  const calls = document.getElementById("calls");
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const schemas = api.components.schemas;
  for (const tag of api.tags) {
    const section = element("section", "", element("h2", tag.name), element("p", tag.description));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if ((operation.tags || []).includes(tag.name)) section.append(call(method, api.servers[0].url + path, operation, schemas));
      }
    }
    if (section.querySelector("details")) calls.append(section);
  }
  document.getElementById("search").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const details of calls.querySelectorAll("details")) {
      details.hidden = !words.every((word) => details.dataset.text.includes(word));
    }
    for (const section of calls.querySelectorAll("section")) section.hidden = !section.querySelector("details:not([hidden])");
  });
}

fetch("/api/v2/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => document.getElementById("calls").append(element("p", `openapi.json cannot be shown: ${error}`)));
