// The OpenAPI document, as the page wants it: references followed, operations by what they are for.

/** @typedef {{ [key: string]: any }} Json */
/** @typedef {{ id: string, methods: string, path: string, operation: Json }} Operation */
/** @typedef {{ name: string, description: string, operations: Operation[] }} Group */

const METHODS = ["get", "post"];

/**
 * What `value` refers to within the document, or itself.
 * @param {Json} document
 * @param {Json} value
 * @returns {Json}
 */
export function followed(document, value) {
  const parts = typeof value?.$ref === "string" ? value.$ref.replace(/^#\//, "").split("/") : null;
  if (!parts) return value;
  return parts.reduce((/** @type {any} */ at, /** @type {string} */ part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], document) ?? {};
}

/** The last part of a reference: the name of a schema. @param {Json} value */
export const nameOf = (value) => (typeof value?.$ref === "string" ? value.$ref.split("/").pop() : "");

/**
 * Operations by their tags, in the order of the document.
 * @param {Json} document
 * @returns {Group[]}
 */
export function groups(document) {
  /** @type {Operation[]} */
  const all = [];
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS) {
      const operation = item[method];
      // HEAD is as GET, without a body.
      const methods = method === "get" && item.head ? "GET, HEAD" : method.toUpperCase();
      if (operation) all.push({ id: operation.operationId, methods, path, operation });
    }
  }
  return (document.tags ?? []).map((/** @type {Json} */ { name, description }) => ({
    name, description, operations: all.filter(({ operation }) => operation.tags?.includes(name)),
  }));
}

/**
 * What kind of value a schema admits, in few words.
 * @param {Json} document
 * @param {Json} schema
 * @returns {string}
 */
export function kindOf(document, schema) {
  const name = nameOf(schema);
  const real = followed(document, schema);
  const types = [real.type ?? []].flat();
  if (real.oneOf ?? real.anyOf) return (real.oneOf ?? real.anyOf).map((/** @type {Json} */ one) => kindOf(document, one)).join(" or ");
  if (types[0] === "array") return `list of ${kindOf(document, real.items ?? {})}`;
  if (name) return name;
  const words = types.length ? types.join(" or ") : real.allOf ? "object" : "any JSON";
  return real.format ? `${words} (${real.format})` : words;
}

/**
 * Ranges, forms and choices of a value.
 * @param {Json} schema
 * @returns {string[]}
 */
export function limitsOf(schema) {
  const words = [];
  if (schema.enum) words.push(`one of ${schema.enum.map((/** @type {unknown} */ value) => JSON.stringify(value)).join(", ")}`);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  if (schema.minimum !== undefined || schema.maximum !== undefined) words.push(`${schema.minimum ?? ""} to ${schema.maximum ?? "any"}`);
  if (schema.minLength !== undefined || schema.maxLength !== undefined) words.push(`length ${schema.minLength ?? 0} to ${schema.maxLength ?? "any"}`);
  if (schema.minItems !== undefined || schema.maxItems !== undefined) words.push(`${schema.minItems ?? 0} to ${schema.maxItems ?? "any"} items`);
  if (schema.pattern) words.push(`form ${schema.pattern}`);
  if (schema.additionalProperties === false) words.push("no other fields");
  return words;
}
