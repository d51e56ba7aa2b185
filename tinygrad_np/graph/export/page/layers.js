// One level of the picture: items in layers, arrows downwards between them.  Numbers in, numbers out.
//
// item:  {left, right, height, port}: left and right are measured from its own x; port is "top" or "bottom" for
//        the place where an arrow enters or leaves the level.  Where a box has leaves beside it, `half` and `own` are
//        half its own width and its own height.
// arrow: {upper, lower, upperAt, lowerAt, label, main}: numbers of items, where on the item the arrow ends (null: anywhere),
//        the size of its label or null, and how much it matters that it is straight (0: little).  They have no cycles.
//
// Arrows run vertically where there are items and bend only between two layers, so that none runs through an item.

const SWEEPS = 8;
const LONG = 40;
const GAPS = { plain: 34, label: 24, head: 44, foot: 22, slant: 0.1, mostSlant: 46 };
const WEIGHTS = { run: 10, bend: 1, free: 0.01 };

function layoutLevel(items, arrows, up) {
  const layers = layersOf(items, arrows);
  const grid = gridOf(items, arrows, layers);
  orderLayers(grid);
  mirrorForInputs(grid, items);
  assignPorts(grid, items);
  assignColumns(grid);
  return geometry(grid, items, arrows, up);
}

// -- layers -------------------------------------------------------------------------------------------------------

function byItem(count, arrows, end) {
  const lists = Array.from({ length: count }, () => []);
  for (const arrow of arrows) lists[arrow[end]].push(arrow);
  return lists;
}

function topological(count, into, outOf) {
  const waiting = into.map((list) => list.length);
  const order = [];
  for (let i = 0; i < count; i++) if (!waiting[i]) order.push(i);
  for (let k = 0; k < order.length; k++) {
    for (const { lower } of outOf[order[k]]) if (--waiting[lower] === 0) order.push(lower);
  }
  return order;
}

/** The layer of every item, by the longest path; what hangs on nothing above stands right above its use. */
function layersOf(items, arrows) {
  const into = byItem(items.length, arrows, "lower");
  const outOf = byItem(items.length, arrows, "upper");
  const order = topological(items.length, into, outOf);
  const first = items.some((item) => item.port === "top") ? 1 : 0;
  const layer = items.map((item) => (item.port === "top" ? 0 : first));
  for (const i of order) for (const { upper } of into[i]) layer[i] = Math.max(layer[i], layer[upper] + 1);
  const floats = items.map((item) => item.port === null);
  for (const i of order) floats[i] &&= into[i].every(({ upper }) => floats[upper] && outOf[upper].length === 1);
  for (const i of order.reverse()) {
    const below = outOf[i].map(({ lower }) => layer[lower]).reduce((a, b) => Math.min(a, b), Infinity);
    if (floats[i] && below < Infinity) layer[i] = below - 1;
  }
  const last = layer.reduce((a, b, i) => Math.max(a, items[i].port === "bottom" ? 0 : b), 0) + 1;
  return items.map((item, i) => (item.port === "bottom" ? last : layer[i]));
}

// -- the grid: cells in layers, where an arrow that passes a layer has a cell in it ---------------------------------

function gridOf(items, arrows, layerOf) {
  const layers = Array.from({ length: Math.max(-1, ...new Set(layerOf)) + 1 }, () => []);
  const cell = (layer, fields) => {
    const made = { item: -1, left: 8, right: 8, layer, x: 0, pos: 0, ups: [], downs: [], ...fields };
    layers[layer].push(made);
    return made;
  };
  const cells = items.map((item, i) => cell(layerOf[i], { item: i, left: item.left, right: item.right }));
  const spans = arrows.map(({ upper, lower }) => layerOf[lower] - layerOf[upper] - 1);
  // Cells for very long arrows could outnumber everything: past a limit, these run beside the level instead.
  const aside = spans.reduce((a, b) => a + b, 0) > 4000 + 4 * items.length;
  const paths = arrows.map((arrow, k) => {
    const path = [cells[arrow.upper]];
    if (!(aside && spans[k] > LONG)) {
      for (let at = layerOf[arrow.upper] + 1; at < layerOf[arrow.lower]; at++) {
        path.push(cell(at, path.length === 1 && arrow.label ? { right: arrow.label.width + 14 } : {}));
      }
    }
    path.push(cells[arrow.lower]);
    return { cells: path, pieces: join(path, arrow), labelHeight: arrow.label?.height ?? 0 };
  });
  return { layers, cells, paths, layerOf };
}

function join(path, arrow) {
  const pieces = [];
  for (let i = 1; i < path.length; i++) {
    const [a, b] = [path[i - 1], path[i]];
    const [first, last] = [i === 1, i === path.length - 1];
    const weight = arrow.main || (!first && !last ? WEIGHTS.run : WEIGHTS.bend);
    const near = b.layer === a.layer + 1;
    const piece = {
      a, b, weight, near, main: arrow.main > 0, from: first ? arrow.upperAt : 0, to: last ? arrow.lowerAt : 0, aFree: false, bFree: false,
    };
    if (piece.from === null) [piece.from, piece.aFree] = [0, true];
    if (piece.to === null) [piece.to, piece.bFree] = [0, true];
    a.downs.push(piece);
    b.ups.push(piece);
    pieces.push(piece);
  }
  return pieces;
}

// -- the order inside of layers, with few crossings -----------------------------------------------------------------

const endpoint = (cell, offset) => cell.pos + (0.9 * offset) / (cell.left + cell.right + 1);

function orderLayers({ layers }) {
  firstOrder(layers);
  let best = null;
  for (let sweep = 0; sweep <= SWEEPS; sweep++) {
    const crossings = countCrossings(layers);
    if (best === null || crossings < best.crossings) best = { crossings, layers: layers.map((layer) => [...layer]) };
    if (crossings === 0) break;
    const down = sweep % 2 === 0;
    const sequence = down ? layers : [...layers].reverse();
    for (const layer of sequence) sortByNeighbours(layer, down);
  }
  best.layers.forEach((layer, i) => { layers[i] = layer; number(layer); });
}

/** Left and right are free: chosen so that more inputs stand in the order in which the formulas have them. */
function mirrorForInputs({ layers }, items) {
  // Several arrows through one border have to arrive as they leave, in whatever order the levels around have them.
  for (const end of ["top", "bottom"]) if (items.filter((item) => item.port === end).length > 1) return;
  let ahead = 0;
  for (const { ups } of layers.flat()) {
    for (let i = 1; i < ups.length; i++) ahead += Math.sign(endpoint(ups[i].a, ups[i].from) - endpoint(ups[i - 1].a, ups[i - 1].from));
  }
  if (ahead >= 0) return;
  const before = countCrossings(layers);
  const turn = () => layers.forEach((layer) => { layer.reverse(); number(layer); });
  turn();
  if (countCrossings(layers) > before) turn();
}

const number = (layer) => layer.forEach((cell, i) => { cell.pos = i; });

/** Depth first, so that a chain stays together. */
function firstOrder(layers) {
  const seen = new Set();
  const found = layers.map(() => []);
  for (const layer of layers) {
    for (const start of layer) {
      const stack = [start];
      while (stack.length) {
        const cell = stack.pop();
        if (seen.has(cell)) continue;
        seen.add(cell);
        found[cell.layer].push(cell);
        for (let i = cell.downs.length - 1; i >= 0; i--) stack.push(cell.downs[i].b);
      }
    }
  }
  found.forEach((layer, i) => { layers[i] = layer; number(layer); });
}

function sortByNeighbours(layer, down) {
  const keys = new Map(layer.map((cell) => {
    const pieces = (down ? cell.ups : cell.downs).filter((piece) => piece.near);
    const sum = pieces.reduce((total, p) => total + (down ? endpoint(p.a, p.from) : endpoint(p.b, p.to)), 0);
    return [cell, pieces.length ? sum / pieces.length : cell.pos];
  }));
  layer.sort((a, b) => keys.get(a) - keys.get(b) || a.pos - b.pos);
  number(layer);
}

function countCrossings(layers) {
  let total = 0;
  for (const layer of layers) {
    const pieces = layer.flatMap((cell) => cell.downs.filter((piece) => piece.near))
      .map((piece) => [endpoint(piece.a, piece.from), endpoint(piece.b, piece.to)]);
    pieces.sort((p, q) => p[0] - q[0] || p[1] - q[1]);
    total += inversions(pieces.map((piece) => piece[1]));
  }
  return total;
}

/** How many pairs stand in the wrong order, with a Fenwick tree over the ranks. */
function inversions(values) {
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, i) => [value, i + 1]));
  const tree = new Array(ranks.size + 1).fill(0);
  let count = 0;
  values.forEach((value, seen) => {
    let notAbove = 0;
    for (let i = ranks.get(value); i > 0; i -= i & -i) notAbove += tree[i];
    count += seen - notAbove;
    for (let i = ranks.get(value); i < tree.length; i += i & -i) tree[i] += 1;
  });
  return count;
}

// -- columns --------------------------------------------------------------------------------------------------------

/** Where arrows end on an item: the main one in the middle, the others beside it, in the order of where they come from. */
function assignPorts({ cells }, items) {
  for (const cell of cells) {
    const half = items[cell.item].half ?? Math.min(cell.left, cell.right);
    spread(cell.ups.filter((p) => p.bFree), half, "to", (p) => (p.near ? endpoint(p.a, p.from) : Infinity));
    spread(cell.downs.filter((p) => p.aFree), half, "from", (p) => (p.near ? endpoint(p.b, p.to) : Infinity));
  }
}

function spread(pieces, half, end, key) {
  pieces.sort((p, q) => key(p) - key(q));
  const main = pieces.findIndex((piece) => piece.main);
  const middle = main >= 0 ? main : (pieces.length - 1) / 2;
  const farthest = Math.max(middle, pieces.length - 1 - middle, 1);
  const step = Math.min(22, (half * 0.75) / farthest);
  pieces.forEach((piece, i) => { piece[end] = (i - middle) * step; });
}

function assignColumns({ layers, paths }) {
  for (const layer of layers) {
    let x = 0;
    layer.forEach((cell, i) => { x += i ? apart(layer[i - 1], cell) : 0; cell.x = x; });
    layer.forEach((cell) => { cell.x -= x / 2; });
  }
  const reversed = [...layers].reverse();
  for (let sweep = 0; sweep < 7; sweep++) {
    for (const layer of layers) settle(layer, sweep < 6 ? ["ups"] : ["ups", "downs"]);
    for (const layer of reversed) settle(layer, sweep < 6 ? ["downs"] : ["ups", "downs"]);
  }
  for (const { cells } of paths) straighten(cells.slice(1, -1), layers);
}

/** Stretches of a long arrow as long and straight as the cells beside them allow. */
function straighten(cells, layers) {
  const room = cells.map((cell) => {
    const [before, after] = [layers[cell.layer][cell.pos - 1], layers[cell.layer][cell.pos + 1]];
    return [before ? before.x + apart(before, cell) : -Infinity, after ? after.x - apart(cell, after) : Infinity];
  });
  for (let start = 0, end; start < cells.length; start = end) {
    let [low, high] = room[start];
    for (end = start + 1; end < cells.length; end++) {
      const [left, right] = [Math.max(low, room[end][0]), Math.min(high, room[end][1])];
      if (left > right) break;
      [low, high] = [left, right];
    }
    const stretch = cells.slice(start, end);
    const mean = stretch.reduce((sum, cell) => sum + cell.x, 0) / stretch.length;
    for (const cell of stretch) cell.x = Math.min(high, Math.max(low, mean));
  }
}

function apart(a, b) {
  const boxes = (a.item >= 0) + (b.item >= 0);
  return a.right + b.left + [4, 14, 36][boxes];
}

/** Move the cells of one layer towards their neighbours, as near as their order and widths allow. */
function settle(layer, sides) {
  const wishes = layer.map((cell) => {
    const ends = sides.flatMap((side) => cell[side].filter((p) => p.near).map((p) => (side === "ups"
      ? { x: p.a.x + p.from - p.to, weight: p.weight } : { x: p.b.x + p.to - p.from, weight: p.weight })));
    const weight = ends.reduce((most, end) => Math.max(most, end.weight), WEIGHTS.free);
    return { x: ends.length ? weightedMedian(ends) : cell.x, weight };
  });
  const shift = [0];
  for (let i = 1; i < layer.length; i++) shift.push(shift[i - 1] + apart(layer[i - 1], layer[i]));
  const places = nondecreasing(wishes.map((wish, i) => ({ value: wish.x - shift[i], weight: wish.weight })));
  layer.forEach((cell, i) => { cell.x = places[i] + shift[i]; });
}

function weightedMedian(ends) {
  ends.sort((a, b) => a.x - b.x);
  const half = ends.reduce((sum, end) => sum + end.weight, 0) / 2;
  let sum = 0;
  for (let i = 0; i < ends.length; i++) {
    sum += ends[i].weight;
    if (sum === half) return (ends[i].x + ends[i + 1].x) / 2;
    if (sum > half) return ends[i].x;
  }
  return 0;
}

/** The nearest sequence, in weighted least squares, that never decreases: pool adjacent violators. */
function nondecreasing(entries) {
  const blocks = [];
  for (const { value, weight } of entries) {
    let block = { mean: value, weight, count: 1 };
    while (blocks.length && blocks.at(-1).mean >= block.mean) {
      const before = blocks.pop();
      const sum = before.weight + block.weight;
      const mean = (before.mean * before.weight + block.mean * block.weight) / sum;
      block = { mean, weight: sum, count: before.count + block.count };
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ mean, count }) => new Array(count).fill(mean));
}
