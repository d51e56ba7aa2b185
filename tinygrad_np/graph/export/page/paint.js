// From a layout to SVG.  Strings become text nodes and nothing else.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, children = []) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function text({ text: words, font, look }, x, y, anchor = "start") {
  const [size, weight] = FONTS[font];
  const element = make("text", {
    x: round(x), y: round(y), class: `ink-${look}`, "font-size": size, "font-weight": weight === 400 ? null : weight,
    "text-anchor": anchor === "start" ? null : anchor,
  });
  element.textContent = words;
  return element;
}

const round = (x) => Math.round(x * 10) / 10;

/** Draws everything into `world`; returns the elements by the key of their node or edge. */
function paint(world, { nodes, edges }, places, graph, size) {
  const drawn = { nodes: new Map(), edges: new Map(), groups: new Map() };
  const layers = ["groups", "crossing", "edges", "nodes", "labels"].map((name) => make("g", { class: name }));
  const [groups, crossing, lines, boxes, labels] = layers;
  // Groups inside others come after them, so that they lie on top.
  for (const place of places.groups) {
    const element = paintGroup(place, graph.groups.get(place.id));
    if (!drawn.groups.has(place.id)) drawn.groups.set(place.id, []);
    drawn.groups.get(place.id).push(element);
    groups.append(element);
  }
  for (const edge of edges) {
    const place = places.edges.get(edge.key);
    const line = paintEdge(edge, place);
    const label = place.label ? paintLabel(edge, place) : null;
    (edge.cross ? crossing : lines).append(line);
    if (label) labels.append(label);
    drawn.edges.set(edge.key, { edge, line, label });
  }
  for (const node of nodes) {
    const element = paintNode(node, places.nodes.get(node.key), size.rows(node));
    boxes.append(element);
    drawn.nodes.set(node.key, element);
  }
  world.replaceChildren(...layers);
  return drawn;
}

// -- boxes ------------------------------------------------------------------------------------------------------------

function paintNode(node, place, rows) {
  const { x, y, width, height } = place;
  const radius = node.kind === "data" ? 0 : 9;
  const classes = ["node", node.kind, node.bad && "bad", node.tainted && "tainted", node.backward && "backward"];
  const element = make("g", {
    class: classes.filter(Boolean).join(" "), "data-key": node.key, transform: `translate(${round(x)} ${round(y)})`,
    tabindex: 0, role: "link", "aria-label": spoken(node),
  });
  element.append(make("rect", { class: "body", width, height, rx: radius }));
  if (rows[0].header) element.append(headerBand(width, rowHeight(rows[0]) + PAD.y, radius));
  if (node.kind === "folded") {
    element.append(make("rect", { class: "inner", x: 3.5, y: 3.5, width: width - 7, height: height - 7, rx: radius - 3 }));
  }
  element.append(make("rect", { class: "border", width, height, rx: radius }));
  let top = PAD.y;
  for (const row of rows) {
    element.append(paintRow(row, width, top));
    top += rowHeight(row);
  }
  return element;
}

/** The coloured upper part of a leaf, round where the box is round. */
function headerBand(width, height, r) {
  return make("path", { class: "band", d: `M0 ${height}V${r}Q0 0 ${r} 0H${width - r}Q${width} 0 ${width} ${r}V${height}Z` });
}

function paintRow(row, width, top) {
  const baseline = top + rowHeight(row) * 0.5 + 4 - (row.header ? 2 : 0);
  const element = make("g", { class: row.part ?? null });
  if (row.align === "between") {
    element.append(text(row.cells[0], PAD.x, baseline), text(row.cells[1], width - PAD.x, baseline, "end"));
    return element;
  }
  let x = row.align === "left" ? PAD.x : (width - rowWidth(row)) / 2;
  for (const entry of row.cells) {
    const word = text(entry, x, baseline);
    if (entry.part) word.classList.add(entry.part);
    element.append(word);
    x += measure(entry.text, entry.font) + CELL_GAP;
  }
  return element;
}

/** A box in one sentence, for screen readers. */
function spoken(node) {
  if (node.group) return `Folded: ${nameOf(node)}, ${insideWords(node.group)}`;
  const { box } = node;
  const value = box.value ? `, value ${box.value.text}` : "";
  const grad = box.grad ? `, gradient ${box.grad.text}` : "";
  return `${KINDS[node.kind]} ${nameOf(node)}${box.shape ? `, shape ${box.shape}` : ""}${value}${grad}`;
}

// -- groups -----------------------------------------------------------------------------------------------------------

function paintGroup(place, group) {
  const { x, y, width, height, headerX } = place;
  const element = make("g", { class: `group ${group.kind}`, "data-group": group.id, transform: `translate(${round(x)} ${round(y)})` });
  const head = make("g", { class: "head", tabindex: 0, role: "button", "aria-expanded": "true", "data-group": group.id });
  head.setAttribute("aria-label", `Fold ${group.label || "block"}`);
  head.append(make("rect", { x: headerX - 6, y: 3, width: headerWidth(group) + 8, height: 22, rx: 6 }));
  let left = headerX;
  for (const entry of headerCells(group)) {
    head.append(text(entry, left, 19));
    left += measure(entry.text, entry.font) + CELL_GAP;
  }
  element.append(make("rect", { class: "frame", width: round(width), height: round(height), rx: 12 }), head);
  return element;
}

const headerWidth = (group) => headerCells(group).reduce((sum, { text: words, font }) => sum + measure(words, font) + CELL_GAP, 0);

// -- arrows -----------------------------------------------------------------------------------------------------------

const HEAD = { length: 8, half: 3.6 };

function paintEdge(edge, place) {
  const points = place.sideways ? sidewaysPath(place.sideways) : runsPath(place);
  const classes = ["edge", !edge.needsGrad && "constant", edge.cross && "cross"];
  return make("g", { class: classes.filter(Boolean).join(" "), "data-edge": edge.key, "data-from": edge.source.key, "data-to": edge.target.key }, [
    make("path", { class: "hit", d: points.line }),
    make("path", { class: "line", d: points.line }),
    make("path", { class: "tip", d: points.head }),
  ]);
}

function sidewaysPath({ from, to }) {
  const way = Math.sign(to.x - from.x) || 1;
  const end = to.x - way * HEAD.length;
  const middle = (from.x + end) / 2;
  const bend = from.y === to.y ? `H${round(end)}` : `C${round(middle)} ${round(from.y)} ${round(middle)} ${round(to.y)} ${round(end)} ${round(to.y)}`;
  return {
    line: `M${round(from.x)} ${round(from.y)}${bend}`,
    head: `M${round(to.x)} ${round(to.y)}l${-way * HEAD.length} ${-HEAD.half}v${2 * HEAD.half}Z`,
  };
}

/** Vertical runs joined by curves, from the source to the target: which may be above it. */
function runsPath({ runs, turned, up }) {
  const way = up ? -1 : 1;
  const sorted = [...runs].sort((a, b) => way * (a.top - b.top));
  const ends = sorted.map(({ x, top, bottom }) => ({ x, start: top, end: bottom }));
  if (turned) ends.reverse().forEach((run) => { [run.start, run.end] = [run.end, run.start]; });
  const sign = turned ? -way : way;
  const last = ends.at(-1);
  const stop = { ...last, end: last.end - sign * HEAD.length };
  // A last run that is shorter than the tip of the arrow starts where the tip does.
  if (sign * (stop.end - stop.start) < 0) stop.start = stop.end;
  const list = [...ends.slice(0, -1), stop];
  let path = `M${round(list[0].x)} ${round(list[0].start)}V${round(list[0].end)}`;
  for (let i = 1; i < list.length; i++) {
    const [a, b] = [list[i - 1], list[i]];
    const middle = round((a.end + b.start) / 2);
    path += Math.abs(a.x - b.x) < 0.5 ? `L${round(b.x)} ${round(b.start)}`
      : `C${round(a.x)} ${middle} ${round(b.x)} ${middle} ${round(b.x)} ${round(b.start)}`;
    path += `V${round(b.end)}`;
  }
  const head = `M${round(last.x)} ${round(last.end)}l${-HEAD.half} ${-sign * HEAD.length}h${2 * HEAD.half}Z`;
  return { line: path, head };
}

function paintLabel(edge, { label, sideways }) {
  const element = make("g", { class: "label", "data-edge": edge.key });
  const { x, y, width, words, shape, gradient, side } = label;
  const onLine = side === "line";
  const [at, anchor] = onLine ? [x + width / 2, "middle"] : side === "left" ? [x + width, "end"] : [x, "start"];
  const first = text(cell("", "label"), at, y + (onLine ? 12 : 10), anchor);
  for (const [part, look] of [[words ? `${words}  ` : "", "pale"], [shape, "ink"]]) {
    const span = make("tspan", { class: `ink-${look}` });
    span.textContent = part;
    first.append(span);
  }
  element.append(first);
  if (gradient) {
    const sign = !sideways ? (edge.target.backward ? "↓" : "↑") : sideways.to.x > sideways.from.x ? "←" : "→";
    const back = text(cell(`${sign} ${gradient}`, "label", "gradient"), at, y + (onLine ? 29 : 23), anchor);
    back.classList.add("grad");
    element.append(back);
  }
  return element;
}
