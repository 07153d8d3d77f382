// React, which is published as CommonJS, as a module that a browser takes.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** What each has beside its `package.json`, as a browser is given it while developing. */
const FILES = {
  scheduler: "cjs/scheduler.development.js",
  react: "cjs/react.development.js",
  "react-dom": "cjs/react-dom.development.js",
  "react-dom/client": "cjs/react-dom-client.development.js",
};

function source(name) {
  const [root] = name.split("/");
  return readFileSync(join(dirname(require.resolve(`${root}/package.json`)), FILES[name]), "utf8");
}

const names = (name) => Object.keys(require(name)).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== "default");

/** One script that has them all, and for each a module that gives its names. */
export function reactModules() {
  const parts = Object.keys(FILES).map((name) => `${JSON.stringify(name)}: (module, exports, require) => {${source(name)}}`);
  const all = `const process = { env: { NODE_ENV: "development" } };
    const parts = { ${parts.join(",\n")} };
    const made = {};
    export function require(name) {
      if (!made[name]) parts[name]((made[name] = { exports: {} }), made[name].exports, require);
      return made[name].exports;
    }`;
  const type = "text/javascript";
  const modules = new Map([["/app/all.js", { type, body: all }]]);
  for (const name of ["react", "react-dom/client"]) {
    const body = `import { require } from "/app/all.js";
      const module = require(${JSON.stringify(name)});
      export default module;
      export const { ${names(name).join(", ")} } = module;`;
    modules.set(`/app/${name}.js`, { type, body });
  }
  return modules;
}
