/** SARIF 2.1.0 (OASIS). An event of a recording is a logical location; the file is the artifact, without lines. */
import type { Report } from './model.js';

const uri = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

export function sarif(report: Report): string[] {
  const ids = [...new Set([...Object.keys(report.rules), ...report.findings.map(f => f.rule)])];
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'rewalk',
            rules: ids.map(id => ({ id, shortDescription: { text: report.rules[id] ?? id } })),
          },
        },
        results: report.findings.map(f => ({
          ruleId: f.rule,
          ruleIndex: ids.indexOf(f.rule),
          level: 'error',
          message: { text: [f.title, ...f.lines.map(l => `${l.sign} ${l.text}`)].join('\n') },
          locations: [
            {
              physicalLocation: { artifactLocation: { uri: uri(f.file) } },
              logicalLocations: [
                { name: `#${f.seq}`, kind: 'element', ...(f.where ? { fullyQualifiedName: f.where } : {}) },
              ],
            },
          ],
        })),
      },
    ],
  };
  return [JSON.stringify(log, null, 1)];
}
