/* Builds one page: style and script inside, a policy that allows nothing but these two, and the licences of what is in it. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

const FOLDER = "../src/paraminspect/pages";
const BUNDLED = ["preact", "d3-hierarchy", "@tanstack/virtual-core"];

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;
}

function licence(name: string): string {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].find((each) => existsSync(`${folder}/${each}`));
  const text = file === undefined ? "" : readFileSync(`${folder}/${file}`, "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
}

function page(style: string, script: string): string {
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const licences = BUNDLED.map(licence).join("\n").replaceAll("--", "- -");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>paraminspect report</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<!--
This page holds these libraries:

${licences}-->
</head>
<body>
<div id="page"><noscript>This report needs JavaScript; its data stands below as JSON.</noscript></div>
<script type="application/json" id="data">@DATA@</script>
<script>${script}</script>
</body>
</html>
`;
}

function onePage(): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    generateBundle(_options, bundle) {
      let style = "";
      let script = "";
      for (const [name, each] of Object.entries(bundle)) {
        if (each.type === "chunk") script += each.code.trim();
        else if (name.endsWith(".css")) style += String(each.source).trim();
        delete bundle[name];
      }
      if (/<\/script|<!--/i.test(script) || /<\/style/i.test(style)) throw new Error("the bundle ends its own tag");
      this.emitFile({ type: "asset", fileName: "page.html", source: page(style, script) });
      this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: BUNDLED.map(licence).join("\n") });
    },
  };
}

export default defineConfig({
  plugins: [onePage()],
  build: {
    outDir: FOLDER,
    emptyOutDir: false,
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: { input: "src/main.tsx", output: { format: "iife" } },
  },
});
