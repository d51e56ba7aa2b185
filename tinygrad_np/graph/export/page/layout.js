// The layout of the whole picture: levels inside levels, one for every open group, each a layered drawing of its own.
//
// Leaves stand beside the op that uses them; the drawn backward pass is a second column, drawn upwards.

const LEAF_GAP = 30;
const STACK_GAP = 10;
const MOST_BESIDE = 4;
const COLUMN_GAP = 110;
const SIDE_LABEL = 34;
const FRAME = { pad: 16, head: 30, foot: 14 };

/** Places of nodes and groups, and the curves and label places of edges.  `size` measures a node, a label or a header. */
function layoutGraph({ nodes, edges }, graph, size) {
  const places = { nodes: new Map(), groups: [], edges: new Map(), width: 0, height: 0 };
  const beside = attachLeaves(nodes, edges);
  const columns = [false, true].map((backward) => {
    const own = nodes.filter((node) => node.backward === backward && !beside.leaves.has(node.key));
    const inner = edges.filter((edge) => !edge.cross && edge.source.backward === backward && !beside.edges.has(edge.key));
    return column(own, inner, graph, size, beside, backward);
  }).filter((found) => found !== null);
  places.height = Math.max(0, ...columns.map((found) => found.root.height));
  let x = 0;
  for (const { root, up } of columns) {
    placeLevel(root, x, 0, places, beside, size);
    if (up) flip(places, x, places.height);
    else shiftDown(places, places.height - root.height);
    x += root.width + COLUMN_GAP;
  }
  places.width = Math.max(0, x - COLUMN_GAP);
  for (const edge of edges) if (edge.cross) places.edges.set(edge.key, crossEdge(edge, places));
  return places;
}

// -- leaves beside their op -------------------------------------------------------------------------------------------

/** The leaves that stand left or right of the one op they go into, so that the ops form a column. */
function attachLeaves(nodes, edges) {
  const outOf = countBy(edges, (edge) => edge.source.key);
  const beside = { leaves: new Set(), edges: new Map(), of: new Map() };
  for (const [target, inputs] of groupBy(edges.filter((edge) => !edge.cross), (edge) => edge.target)) {
    if (target.kind === "result" || isLeaf(target)) continue;
    const can = inputs.filter(({ source }) => isLeaf(source) && outOf.get(source.key) === 1
      && source.parent === target.parent && source.backward === target.backward);
    const others = inputs.filter((edge) => !can.includes(edge));
    // With nothing else from above, the data comes from above, or else the first parameter.
    const spine = others[0] ?? can.find(({ source }) => source.kind === "data") ?? can[0];
    const leaves = can.filter((edge) => edge !== spine);
    if (!leaves.length || leaves.length > MOST_BESIDE) continue;
    const before = (edge) => inputs.indexOf(edge) < inputs.indexOf(spine);
    const sides = { left: leaves.filter(before), right: leaves.filter((edge) => !before(edge)) };
    beside.of.set(target.key, sides);
    for (const edge of leaves) {
      beside.leaves.add(edge.source.key);
      beside.edges.set(edge.key, target);
    }
  }
  return beside;
}

function groupBy(list, key) {
  const found = new Map();
  for (const entry of list) {
    if (!found.has(key(entry))) found.set(key(entry), []);
    found.get(key(entry)).push(entry);
  }
  return found;
}

const countBy = (list, key) => new Map([...groupBy(list, key)].map(([name, entries]) => [name, entries.length]));

/** How far the node and the leaves beside it reach from the middle of the node. */
function reach(node, beside, size) {
  const own = size.node(node);
  const sides = beside.of.get(node.key);
  const half = own.width / 2;
  const found = { left: half, right: half, half, height: own.height, own: own.height, port: null };
  for (const side of ["left", "right"]) {
    const stack = sides?.[side] ?? [];
    if (!stack.length) continue;
    const leaves = stack.map((edge) => size.node(edge.source));
    found[side] += leafGap(stack, size) + Math.max(...leaves.map((leaf) => leaf.width));
    found.height = Math.max(found.height, stackHeight(leaves));
  }
  return found;
}

const leafGap = (stack, size) => LEAF_GAP + Math.max(...stack.map((edge) => size.label(edge)?.width ?? 0));
const stackHeight = (leaves) => leaves.reduce((sum, leaf) => sum + leaf.height + STACK_GAP, -STACK_GAP);

// -- levels -----------------------------------------------------------------------------------------------------------

/** The levels of one column, laid out from the innermost to the outermost; null without nodes. */
function column(nodes, edges, graph, size, beside, up) {
  if (!nodes.length) return null;
  const root = { id: ROOT, entries: [], arrows: [], ports: [], up };
  const levels = new Map([[ROOT, root]]);
  const level = (id) => {
    if (!levels.has(id)) {
      const made = { id, entries: [], arrows: [], ports: [], up };
      levels.set(id, made);
      level(graph.groups.get(id).parent).entries.push(made);
    }
    return levels.get(id);
  };
  const pathTo = (node) => [ROOT, ...graph.around(node.parent).reverse()].map((id) => levels.get(id));
  for (const node of nodes) level(node.parent).entries.push(node);
  markMain(nodes, edges);
  const ways = edges.map((edge) => wayOf(edge, pathTo(edge.source), pathTo(edge.target)));
  for (const [common, inside] of groupBy(ways, (way) => way.common)) turnCycles(common, inside);
  ways.forEach(spreadOverLevels);
  measureLevel(root, graph, size, beside);
  return { root, up };
}

const STRAIGHT = { longest: 10000, main: 100 };

/** Which edges to draw straight: from a node to the one, of all it goes into, with the longest way to go. */
function markMain(nodes, edges) {
  const [into, outOf] = [groupBy(edges, (edge) => edge.target), groupBy(edges, (edge) => edge.source)];
  const depth = longestWays(nodes, into, outOf, "source", "target");
  const height = longestWays(nodes, outOf, into, "target", "source");
  const only = (list, end, length) => {
    const most = Math.max(...list.map((edge) => length.get(edge[end])));
    const found = list.filter((edge) => length.get(edge[end]) === most);
    return found.length === 1 ? found[0] : null;
  };
  const best = { into: new Map(), outOf: new Map() };
  for (const [node, list] of into) best.into.set(node, only(list, "source", depth));
  for (const [node, list] of outOf) best.outOf.set(node, only(list, "target", height));
  const longest = edges.reduce((most, edge) => Math.max(most, depth.get(edge.source) + height.get(edge.target)), 0);
  for (const edge of edges) {
    const whole = depth.get(edge.source) + height.get(edge.target) === longest;
    const main = best.into.get(edge.target) === edge && best.outOf.get(edge.source) === edge;
    edge.main = main ? (whole ? STRAIGHT.longest : STRAIGHT.main) : 0;
  }
}

/** How many nodes the longest way to each node has. */
function longestWays(nodes, before, after, near, far) {
  const length = new Map(nodes.map((node) => [node, 1]));
  const waiting = new Map(nodes.map((node) => [node, before.get(node)?.length ?? 0]));
  const ready = nodes.filter((node) => waiting.get(node) === 0);
  for (const node of ready) {
    for (const edge of after.get(node) ?? []) {
      const next = edge[far];
      length.set(next, Math.max(length.get(next), length.get(edge[near]) + 1));
      waiting.set(next, waiting.get(next) - 1);
      if (waiting.get(next) === 0) ready.push(next);
    }
  }
  return length;
}

/** What an edge joins in every level it passes: the level that has both ends, and those around one of them. */
function wayOf(edge, from, to) {
  let depth = 0;
  while (depth + 1 < Math.min(from.length, to.length) && from[depth + 1] === to[depth + 1]) depth += 1;
  return { edge, common: from[depth], from: [...from.slice(depth + 1), edge.source], to: [...to.slice(depth + 1), edge.target] };
}

/** Marks ways that would close a cycle between the entries of a level (a scope entered again): drawn upwards. */
function turnCycles(level, ways) {
  const outOf = groupBy(ways, (way) => way.from[0]);
  const state = new Map();
  for (const start of level.entries) {
    const stack = state.has(start) ? [] : [{ entry: start, at: 0 }];
    while (stack.length) {
      const top = stack.at(-1);
      const list = outOf.get(top.entry) ?? [];
      state.set(top.entry, top.at < list.length ? "open" : "done");
      if (top.at === list.length) { stack.pop(); continue; }
      const way = list[top.at++];
      way.turned = state.get(way.to[0]) === "open";
      if (!state.has(way.to[0])) stack.push({ entry: way.to[0], at: 0 });
    }
  }
}

/** Gives each level its piece of the way: from the upper end through the borders of groups to the lower end. */
function spreadOverLevels(way) {
  const { edge, common, turned } = way;
  const [above, below] = turned ? [way.to, way.from] : [way.from, way.to];
  common.arrows.push({ edge, upper: above[0], lower: below[0], labelled: true, turned });
  for (let i = 0; i + 1 < above.length; i++) {
    above[i].ports.push({ edge, end: "bottom" });
    above[i].arrows.push({ edge, upper: above[i + 1], lower: "bottom", labelled: false });
  }
  for (let i = 0; i + 1 < below.length; i++) {
    below[i].ports.push({ edge, end: "top" });
    below[i].arrows.push({ edge, upper: "top", lower: below[i + 1], labelled: false });
  }
}

function measureLevel(level, graph, size, beside) {
  for (const entry of level.entries) if (entry.entries) measureLevel(entry, graph, size, beside);
  const items = level.entries.map((entry) => (entry.entries
    ? { left: entry.width / 2, right: entry.width / 2, height: entry.height, port: null }
    : reach(entry, beside, size)));
  const at = new Map(level.entries.map((entry, i) => [entry, i]));
  const ports = new Map(level.ports.map(({ edge, end }, i) => [`${edge.key} ${end}`, items.length + i]));
  for (const { end } of level.ports) items.push({ left: 5, right: 5, height: 0, port: end });
  const find = (end, edge) => (typeof end === "string" ? ports.get(`${edge.key} ${end}`) : at.get(end));
  const offset = (end, edge) => (end.entries ? end.portX.get(edge.key) - end.width / 2 : null);
  const arrows = level.arrows.map(({ edge, upper, lower, labelled }) => ({
    upper: find(upper, edge), lower: find(lower, edge), upperAt: offset(upper, edge), lowerAt: offset(lower, edge),
    label: labelled ? size.label(edge) : null, main: edge.main,
  }));
  level.items = items;
  level.found = layoutLevel(items, arrows, level.up);
  frame(level, graph, size, ports);
}

/** The border around a level, with room for its header beside the arrows that come in. */
function frame(level, graph, size, ports) {
  const { found } = level;
  const group = graph.groups.get(level.id);
  const hasPort = (end) => level.ports.some((port) => port.end === end);
  Object.assign(level, { dx: 0, dy: 0, width: found.width, height: found.height, portX: new Map() });
  if (group) {
    const [head, foot] = level.up ? [FRAME.foot, FRAME.head] : [FRAME.head, FRAME.foot];
    level.dx = FRAME.pad;
    level.dy = hasPort("top") ? 0 : head;
    level.height += level.dy + (hasPort("bottom") ? 0 : foot);
    level.width += 2 * FRAME.pad;
    placeHeader(level, size.header(group), ports);
  }
  for (const { edge, end } of level.ports) {
    level.portX.set(edge.key, found.x[ports.get(`${edge.key} ${end}`)] + level.dx);
  }
}

function placeHeader(level, width, ports) {
  const end = level.up ? "bottom" : "top";
  const entering = level.ports.filter((port) => port.end === end);
  const xs = entering.map(({ edge }) => level.found.x[ports.get(`${edge.key} ${end}`)] + level.dx);
  const [left, right] = [Math.min(...xs, Infinity) - 8, level.width - Math.max(...xs, 0) - 8];
  const needed = width + 20;
  level.headerX = 10;
  if (left >= needed || (!xs.length && level.width >= needed)) return;
  if (xs.length && right >= needed) {
    level.headerX = level.width - needed + 10;
    return;
  }
  const missing = xs.length ? needed - left : needed - level.width;
  level.width += missing;
  if (xs.length) level.dx += missing;
}

// -- places in the picture --------------------------------------------------------------------------------------------

function placeLevel(level, x, y, places, beside, size) {
  const { found, items } = level;
  const [left, top] = [x + level.dx, y + level.dy];
  if (level.id !== ROOT) {
    places.groups.push({ id: level.id, x, y, width: level.width, height: level.height, headerX: level.headerX, up: level.up });
  }
  level.entries.forEach((entry, i) => {
    if (entry.entries) placeLevel(entry, left + found.x[i] - entry.width / 2, top + found.y[i], places, beside, size);
    else placeNode(entry, left + found.x[i], top + found.y[i] + items[i].height / 2, places, beside, size);
  });
  level.arrows.forEach(({ edge, labelled, turned }, k) => {
    if (!places.edges.has(edge.key)) places.edges.set(edge.key, { runs: [], label: null });
    const place = places.edges.get(edge.key);
    place.runs.push(...found.runs[k].map((run) => ({ x: run.x + left, top: run.top + top, bottom: run.bottom + top })));
    const label = found.labels[k];
    place.turned ||= turned;
    if (labelled && label) place.label = { ...label, x: label.x + left, y: label.y + top };
  });
}

function placeNode(node, x, y, places, beside, size) {
  const { width, height } = size.node(node);
  places.nodes.set(node.key, { x: x - width / 2, y: y - height / 2, width, height });
  const sides = beside.of.get(node.key);
  for (const side of ["left", "right"]) {
    const stack = sides?.[side] ?? [];
    if (!stack.length) continue;
    const away = width / 2 + leafGap(stack, size);
    let top = y - stackHeight(stack.map((edge) => size.node(edge.source))) / 2;
    const step = Math.min(24, (0.6 * height) / stack.length);
    stack.forEach((edge, i) => {
      const leaf = size.node(edge.source);
      const [near, far] = side === "left" ? [x - away, x - width / 2] : [x + away, x + width / 2];
      places.nodes.set(edge.source.key, { x: side === "left" ? near - leaf.width : near, y: top, ...leaf });
      const from = { x: near, y: top + leaf.height / 2 };
      const to = { x: far, y: y + (i - (stack.length - 1) / 2) * step };
      places.edges.set(edge.key, { sideways: { from, to }, label: sideLabel(size.label(edge), from, to) });
      top += leaf.height + STACK_GAP;
    });
  }
}

/** The shape above the line, the gradient below it, in the half next to the leaf where the line is level. */
function sideLabel(label, from, to) {
  if (!label) return null;
  const middle = Math.abs(from.y - to.y) < 1 ? (from.x + to.x) / 2 : from.x + (to.x - from.x) * 0.42;
  return { ...label, x: middle - label.width / 2 + (to.x > from.x ? -3 : 3), y: from.y - SIDE_LABEL / 2, height: SIDE_LABEL, side: "line" };
}

/** A value of the forward column that the backward column uses: a light curve across. */
function crossEdge(edge, places) {
  const [a, b] = [places.nodes.get(edge.source.key), places.nodes.get(edge.target.key)];
  const right = a.x < b.x;
  const from = { x: right ? a.x + a.width : a.x, y: a.y + a.height / 2 };
  const to = { x: right ? b.x : b.x + b.width, y: b.y + b.height / 2 };
  return { sideways: { from, to }, label: null, cross: true };
}

function shiftDown(places, dy) {
  if (!dy) return;
  for (const place of [...places.nodes.values(), ...places.groups]) place.y += dy;
  for (const place of places.edges.values()) moveEdge(place, (y) => y + dy);
}

/** Turns the column that starts at x upside down: its boxes stay upright, its arrows point upwards. */
function flip(places, x, height) {
  const turn = (y) => height - y;
  const inside = (place) => place.x >= x;
  for (const place of [...places.nodes.values(), ...places.groups]) {
    if (inside(place)) place.y = turn(place.y + place.height);
  }
  for (const place of places.edges.values()) {
    if (!inside(place.sideways?.from ?? place.runs[0])) continue;
    moveEdge(place, turn);
    place.up = true;
  }
}

function moveEdge(place, move) {
  for (const run of place.runs ?? []) [run.top, run.bottom] = [move(run.top), move(run.bottom)];
  if (place.sideways) for (const end of ["from", "to"]) place.sideways[end].y = move(place.sideways[end].y);
  if (place.label) {
    const ends = [move(place.label.y), move(place.label.y + place.label.height)];
    place.label.y = Math.min(...ends);
  }
}
