import { writeFile } from 'node:fs/promises';
import { format } from 'prettier';
import { describeConfig } from '../src/platform/config/config.js';

/** Writes docs/configuration.md from the schema that the server itself reads its settings with. */
const lines = describeConfig().map(
  ({ name, fallback, meaning }) =>
    `| \`${name}\` | ${fallback === null ? '' : `\`${fallback}\``} | ${meaning} |`,
);
const page = `# Configuration

Environment variables, parsed and validated once at start; a wrong one stops the start with a sentence that names it. An empty one counts as none. Durations are written as \`30s\`, \`15m\`, \`24h\` or \`7d\`. Made by \`npm run docs\`.

| name | default | meaning |
| --- | --- | --- |
${lines.join('\n')}
`;
await writeFile('docs/configuration.md', await format(page, { parser: 'markdown' }));
