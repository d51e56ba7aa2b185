// What boxes and arrows say, and how much room it takes.

const KINDS = { parameter: "parameter", data: "data", op: "operation", result: "result", folded: "folded" };

/** Sizes of text by what it is: the only place that knows them, for measuring and for drawing. */
const FONTS = {
  title: [13, 700], big: [15, 700], about: [11, 400], row: [11.5, 400], detail: [10.5, 400], rule: [10.5, 400],
  label: [10.5, 400], header: [12.5, 700], strong: [11.5, 700],
};
const LINE = { title: 19, big: 22, about: 16, row: 17, detail: 15, rule: 15, label: 13, strong: 17 };
const MOST_LINES = 4;
const ONE_LINE = 44;

const counted = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

const measure = (() => {
  const context = document.createElement("canvas").getContext("2d");
  const known = new Map();
  let family = null;
  return (text, font) => {
    const key = `${font} ${text}`;
    if (!known.has(key)) {
      family ??= getComputedStyle(document.documentElement).getPropertyValue("--font");
      const [size, weight] = FONTS[font];
      context.font = `${weight} ${size}px ${family}`;
      known.set(key, context.measureText(text).width);
    }
    return known.get(key);
  };
})();

const cell = (text, font, look = "ink", extra = {}) => ({ text, font, look, ...extra });

/** A short name of a node, for captions, lists and screen readers. */
function nameOf(node) {
  if (node.group) return node.group.label || "folded block";
  return node.box.name || (node.kind === "op" ? node.box.text : "") || KINDS[node.kind];
}

/** The rows of a box.  A row has cells and stands to the "left", in the "middle", or "between" both sides. */
function rowsOfNode(node, graph) {
  const rows = node.group ? foldedRows(node.group) : ({ op: opRows, result: resultRows }[node.kind] ?? leafRows)(node.box, graph);
  if (node.bad) rows.push({ align: "middle", cells: [cell(badWords(node), "strong", "bad")] });
  return rows;
}

function badWords(node) {
  const count = node.box?.value?.bad ?? 0;
  const what = (node.box ?? node.group).first ? "first nan or inf" : "nan or inf";
  return count ? `${what}: ${counted(count, "entry").replace("entrys", "entries")}` : `${what} is here`;
}

function leafRows(box, graph) {
  const about = [box.path !== box.name ? box.path : "", box.shape, dtypeWords(box.dtype, graph)].filter(Boolean).join(" · ");
  const title = box.name ? [cell(box.name, "title"), cell(about, "about", "pale")] : [cell(about || KINDS[box.kind], "about", "pale")];
  const rows = [{ align: "left", header: true, cells: title }];
  if (box.value) rows.push(pair("value", box.value.text, "pale", "ink", "value"));
  if (box.grad) rows.push(pair("grad", box.grad.text, "gradient", "gradient", "grad"));
  else if (box.kind === "data") rows.push({ align: "left", cells: [cell("no gradient (constant)", "detail", "pale")] });
  if (box.uses > 1) rows.push({ align: "left", cells: [cell(`used by ${box.uses} ops`, "detail", "pale")] });
  return rows;
}

function pair(name, text, nameLook, look, part) {
  return { align: "between", part, cells: [cell(name, "row", nameLook), cell(text, "row", look)] };
}

const dtypeWords = (dtype, graph) => (dtype && dtype !== graph.dtype ? dtype : "");

function opRows(box) {
  const title = box.name ? [cell(box.name, "title"), cell("=", "title", "pale"), cell(box.text, "title")] : [cell(box.text, "title")];
  const rows = [{ align: "middle", cells: title }];
  rows.push(...lines(box.details, "detail", "pale"), ...lines(box.rules, "rule", "gradient"));
  if (box.value) rows.push({ align: "middle", part: "value", cells: [cell(box.value.text, "detail")] });
  return rows;
}

/** Texts below each other, or side by side where they are short. */
function lines(texts, font, look) {
  if (texts.join("   ").length <= ONE_LINE && texts.length > 1) {
    return [{ align: "middle", cells: texts.map((text) => cell(text, font, look)) }];
  }
  const shown = texts.length > MOST_LINES ? [...texts.slice(0, MOST_LINES - 1), `… ${texts.length - MOST_LINES + 1} more`] : texts;
  return shown.map((text) => ({ align: "middle", cells: [cell(text, font, look)] }));
}

function resultRows(box) {
  const value = box.value?.text ?? "";
  const name = box.name || "result";
  const scalar = box.shape === "()" && value;
  const rows = scalar
    ? [{ align: "middle", cells: [cell(`${name} =`, "big"), cell(value, "big", "ink", { part: "value" })] }]
    : [{ align: "middle", cells: [cell(name, "big"), cell(box.shape, "about", "pale")] }];
  if (!scalar && value) rows.push({ align: "middle", part: "value", cells: [cell(value, "row")] });
  if (box.grad) rows.push({ align: "middle", part: "grad", cells: [cell(`grad = ${box.grad.text}`, "row", "gradient")] });
  return rows;
}

function foldedRows(group) {
  const rows = [{ align: "middle", cells: [cell("▸", "title", "pale"), cell(group.label || "block", "title")] }];
  for (const text of [group.detail, insideWords(group)]) {
    if (text) rows.push({ align: "middle", cells: [cell(text, "detail", "pale")] });
  }
  return rows;
}

const insideWords = (group) => [[group.ops, "operation"], [group.parameters, "parameter"]]
  .filter(([n]) => n).map(([n, what]) => counted(n, what)).join(" · ");

// -- sizes ------------------------------------------------------------------------------------------------------------

const CELL_GAP = 6;
const PAD = { x: 9, y: 5 };

const rowWidth = (row) => row.cells.reduce((sum, { text, font }) => sum + measure(text, font) + CELL_GAP, -CELL_GAP)
  + (row.align === "between" ? 10 : 0);
const rowHeight = (row) => Math.max(...row.cells.map(({ font }) => LINE[font])) + (row.header ? 4 : 0);

/** Measures nodes, labels of edges and headers of groups, each once. */
function makeSizes(graph) {
  const nodes = new Map();
  const labels = new Map();
  return {
    rows(node) { return this.node(node).rows; },
    node(node) {
      if (!nodes.has(node.key)) {
        const rows = rowsOfNode(node, graph);
        const width = Math.max(44, ...rows.map(rowWidth)) + 2 * PAD.x;
        const height = rows.reduce((sum, row) => sum + rowHeight(row), 2 * PAD.y);
        nodes.set(node.key, { width: Math.ceil(width), height, rows });
      }
      return nodes.get(node.key);
    },
    label(edge) {
      if (!labels.has(edge)) labels.set(edge, labelOf(edge, graph));
      return labels.get(edge);
    },
    header: (group) => headerCells(group).reduce((sum, { text, font }) => sum + measure(text, font) + CELL_GAP, 0),
  };
}

/** The header of an open group: what a click on it does, its name, and what stands beside it. */
function headerCells(group) {
  return [cell("▾", "header", "pale"), cell(group.label || "block", "header"), cell(group.detail, "about", "pale")]
    .filter(({ text }) => text);
}

/** What stands on an arrow: the shape, and below it the gradient that comes back. */
function labelOf(edge, graph) {
  if (edge.cross) return null;
  const words = [edge.part, edge.role].filter(Boolean).join(" ");
  const bundle = edge.count > 1 ? `× ${edge.count}` : "";
  const shape = [edge.shape, dtypeWords(edge.dtype, graph), bundle].filter(Boolean).join(" ");
  const gradient = edge.rms === null ? "" : `${edge.total ? "Σ " : ""}${edge.rms}`;
  if (!words && !shape && !gradient) return null;
  const first = [words, shape].filter(Boolean).join("  ");
  const width = Math.max(measure(first, "label"), gradient ? measure(`↑ ${gradient}`, "label") : 0);
  return { width: Math.ceil(width), height: LINE.label * (gradient ? 2 : 1), words, shape, gradient };
}
