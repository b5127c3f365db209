// The metrics of several workers as one text: every series carries its worker, every family stands once, as the format of
// Prometheus demands. https://prometheus.io/docs/instrumenting/exposition_formats/

interface Family {
  readonly heads: string[];
  readonly series: string[];
}

const HEAD = /^# (?:HELP|TYPE) (\S+)/;
const NAME_AND_LABELS = /^([\w:]+)(?:\{(.*)\})? /;

/** @param texts by worker */
export function mergeExpositions(texts: ReadonlyMap<number, string>): string {
  const families = new Map<string, Family>();
  for (const [worker, text] of texts) addTo(families, text, worker);
  return [...families.values()].flatMap(({ heads, series }) => [...heads, ...series, '']).join('\n');
}

function addTo(families: Map<string, Family>, text: string, worker: number): void {
  let family: Family = { heads: [], series: [] };
  for (const line of text.split('\n')) {
    const name = HEAD.exec(line)?.[1];
    if (name !== undefined) {
      family = families.get(name) ?? { heads: [], series: [] };
      families.set(name, family);
      if (!family.heads.includes(line)) family.heads.push(line);
    } else if (NAME_AND_LABELS.test(line)) family.series.push(labelled(line, worker));
  }
}

function labelled(line: string, worker: number): string {
  return line.replace(NAME_AND_LABELS, (_, name: string, labels: string | undefined) => {
    const others = labels === undefined || labels === '' ? '' : `,${labels}`;
    return `${name}{worker="${worker}"${others}} `;
  });
}
