// The page: connects the data, the layout, the drawing, the player and the panel.

const find = (id) => document.getElementById(id);

class Page {
  constructor(data) {
    this.graph = new Graph(data);
    this.svg = find("canvas");
    this.world = find("world");
    this.selected = null;
    find("title").textContent = data.title;
    find("subtitle").textContent = data.subtitle;
    this.camera = new Camera(this.svg, this.world);
    this.player = new Player({ slider: find("slider"), caption: find("caption"), toggle: find("play") }, (node) => this.#follow(node));
    this.panel = new Panel(find("panel"), {
      jump: (target) => this.jump(target), toggle: (id) => this.toggle(id), close: () => this.select(null),
    });
    this.search = new Search(find("query"), find("hits"), this.graph, (target) => this.jump(target));
    this.refresh();
    this.camera.open();
    connectPointer(this);
    connectTools(this);
    connectKeys(this);
    connectAddress(this);
  }

  /** Lay out and draw what is visible now. */
  refresh() {
    const before = this.places;
    this.visible = this.graph.visible();
    this.byKey = new Map(this.visible.nodes.map((node) => [node.key, node]));
    const size = makeSizes(this.graph);
    this.places = layoutGraph(this.visible, this.graph, size);
    this.drawn = paint(this.world, this.visible, this.places, this.graph, size);
    this.camera.size = { width: this.places.width || 1, height: this.places.height || 1 };
    this.player.load(this.visible, this.graph, this.drawn);
    fillLegend(find("legend"), this.visible, this.graph);
    find("folding").hidden = !this.graph.groups.size;
    if (before) glideBoxes(this.drawn.nodes, before.nodes, this.places.nodes);
  }

  /** Open a closed group or close an open one; what was clicked stays where it is in the window, if all can be seen. */
  toggle(id) {
    const { closed } = this.graph;
    const before = this.#cornerOf(id);
    if (!closed.delete(id)) closed.add(id);
    this.select(null);
    this.refresh();
    const after = this.#cornerOf(id);
    if (!before || !after) return;
    const { x, y, scale } = this.camera;
    this.camera.set(x + (before.x - after.x) * scale, y + (before.y - after.y) * scale, scale);
    if (closed.has(id)) this.camera.contain();
    this.#focusGroup(id);
  }

  foldAll(close) {
    this.graph.closed = new Set(close ? this.graph.groups.keys() : []);
    this.select(null);
    this.refresh();
    this.camera.open();
  }

  /** The middle of the upper edge of a group, folded or open. */
  #cornerOf(id) {
    const place = this.places.nodes.get(`g${id}`) ?? this.places.groups.find((group) => group.id === id);
    return place ? { x: place.x + place.width / 2, y: place.y } : null;
  }

  #focusGroup(id) {
    const element = this.drawn.nodes.get(`g${id}`) ?? this.drawn.groups.get(id)?.[0].querySelector(".head");
    element?.focus({ preventScroll: true });
  }

  /** Show the details of a node, or nothing. */
  select(key) {
    this.svg.querySelector(".selected")?.classList.remove("selected");
    this.selected = key;
    if (key === null) {
      this.panel.hide();
      return;
    }
    this.drawn.nodes.get(key).classList.add("selected");
    this.panel.show(this.byKey.get(key), this.visible, this.graph);
    // The panel may have taken the room where the box was.
    this.camera.reveal(this.places.nodes.get(key));
  }

  /** Bring a box (by its number), a node or a group (by its key) into view; opens the groups around a box. */
  jump(target) {
    const around = typeof target === "number" ? this.graph.around(this.graph.boxes.get(target).group)
      : this.byKey.has(target) ? [] : this.graph.around(this.graph.groups.get(Number(target.slice(1))).parent);
    if (around.some((id) => this.graph.closed.delete(id))) {
      for (const id of around) this.graph.closed.delete(id);
      this.refresh();
    }
    const key = typeof target === "number" ? `b${target}` : target;
    const place = this.places.nodes.get(key) ?? this.places.groups.find((group) => `g${group.id}` === key);
    this.select(this.byKey.has(key) ? key : null);
    this.camera.reveal(place, true);
    if (this.byKey.has(key)) this.drawn.nodes.get(key).focus({ preventScroll: true });
  }

  /** Fold or open the group of the selected or focused box. */
  toggleSelected() {
    const focused = document.activeElement?.closest?.("[data-group]");
    const node = this.byKey.get(this.selected ?? document.activeElement?.closest?.("[data-key]")?.dataset.key);
    const id = focused ? Number(focused.dataset.group) : node?.group?.id ?? node?.parent ?? ROOT;
    if (id !== ROOT) this.toggle(id);
  }

  #follow(node) {
    if (node) this.camera.reveal(this.places.nodes.get(node.key));
  }
}

/** Boxes that were there before move to their new places. */
function glideBoxes(elements, before, after) {
  if (calm.matches || elements.size > 400) return;
  for (const [key, element] of elements) {
    const [old, now] = [before.get(key), after.get(key)];
    const to = `translate(${now.x}px, ${now.y}px)`;
    const from = old ? { transform: `translate(${old.x}px, ${old.y}px)` } : { transform: to, opacity: 0 };
    element.animate([from, { transform: to, opacity: 1 }], { duration: 240, easing: "ease-out" });
  }
}

// -- pointer ----------------------------------------------------------------------------------------------------------

function connectPointer(page) {
  const { svg, camera } = page;
  svg.addEventListener("click", (event) => {
    if (camera.moved) return;
    activate(page, event.target);
    find("tip").hidden = true;
  });
  svg.addEventListener("pointerover", (event) => hover(page, event));
  svg.addEventListener("pointerleave", () => hover(page, null));
  svg.addEventListener("focusin", (event) => {
    const key = event.target.dataset.key;
    if (key && event.target.matches(":focus-visible")) camera.reveal(page.places.nodes.get(key));
  });
}

/** What a click or Enter on something does. */
function activate(page, element) {
  const head = element.closest(".head");
  if (head) {
    page.toggle(Number(head.dataset.group));
    return;
  }
  const node = page.byKey.get(element.closest(".node")?.dataset.key);
  if (node?.group) page.toggle(node.group.id);
  else page.select(node ? node.key : null);
}

function hover(page, event) {
  const element = event?.target.closest(".node, .edge, .label");
  for (const old of page.svg.querySelectorAll(".near")) old.classList.remove("near");
  const tip = find("tip");
  tip.hidden = true;
  if (!element) return;
  const { key, edge: edgeKey } = element.dataset;
  const edge = page.drawn.edges.get(edgeKey)?.edge;
  for (const near of edge ? [element] : nearOf(page, key)) near.classList.add("near");
  if (edge) for (const part of [page.drawn.edges.get(edgeKey).line, page.drawn.edges.get(edgeKey).label]) part?.classList.add("near");
  if (event.pointerType === "touch" || page.camera.pointers.size) return;
  tip.replaceChildren(...(edge ? edgeTip(edge) : nodeTip(page.byKey.get(key))));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + box.height < innerHeight ? event.clientY + 18 : Math.max(4, event.clientY - box.height - 12)}px`;
}

/** The node, its arrows, and the other uses of the same leaf. */
function nearOf(page, key) {
  const node = page.byKey.get(key);
  const arrows = [...page.drawn.edges.values()].filter(({ edge }) => edge.source === node || edge.target === node);
  const same = node.box && node.box.uses > 1 ? page.graph.usesOf(node.box).map((box) => page.drawn.nodes.get(`b${box.id}`)) : [];
  return [...arrows.flatMap(({ line, label }) => [line, label]), page.drawn.nodes.get(key), ...same].filter(Boolean);
}

function nodeTip(node) {
  if (node.group) return tipLines([nameOf(node), node.group.detail, insideWords(node.group), "click to open"]);
  const { box } = node;
  return tipLines([
    [box.name, box.name ? "" : box.text || KINDS[box.kind]].filter(Boolean).join(" "),
    [KINDS[box.kind], box.path !== box.name ? box.path : "", box.shape, box.dtype].filter(Boolean).join(" · "),
    box.formula, ...box.rules, box.value ? `value ${box.value.text}` : "", box.grad ? `grad ${box.grad.text}` : "",
    box.seconds !== null ? `forward ${duration(box.seconds)}` : "", [box.place, box.code].filter(Boolean).join("  "),
  ]);
}

function edgeTip(edge) {
  return tipLines([
    `${nameOf(edge.source)} → ${nameOf(edge.target)}`, [edge.part, edge.role, edge.shape, edge.dtype].filter(Boolean).join(" · "),
    edge.count > 1 ? `${edge.count} arrows together` : "",
    edge.rms !== null ? `gradient coming back: RMS ${edge.rms}${edge.total ? ", the sum over all uses" : ""}` : "",
    edge.needsGrad || edge.cross ? "" : "no gradient comes back here",
  ]);
}

const tipLines = (words) => words.filter(Boolean).map((line, i) => h(i ? "p" : "b", {}, [line]));

// -- buttons and keys -------------------------------------------------------------------------------------------------

function connectTools(page) {
  const { camera, player } = page;
  const on = (id, run) => find(id).addEventListener("click", run);
  on("open-all", () => page.foldAll(false));
  on("fold-all", () => page.foldAll(true));
  on("zoom-in", () => camera.zoom(1.25));
  on("zoom-out", () => camera.zoom(0.8));
  on("fit", () => camera.fit());
  on("back", () => player.step(-1));
  on("forth", () => player.step(1));
  on("save", () => saveSvg(page));
  on("help-button", () => find("help").showModal());
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.theme = dark.matches ? "dark" : "light"; };
  dark.addEventListener("change", follow);
  follow();
  on("theme", () => {
    dark.removeEventListener("change", follow);
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  });
}

function connectKeys(page) {
  const { camera, player } = page;
  const keys = {
    " ": () => player.playPause(), ArrowLeft: () => player.step(-1), ArrowRight: () => player.step(1),
    Home: () => player.step(-Infinity), End: () => player.step(Infinity),
    "+": () => camera.zoom(1.25), "=": () => camera.zoom(1.25), "-": () => camera.zoom(0.8), "−": () => camera.zoom(0.8),
    0: () => camera.fit(), f: () => page.toggleSelected(), "/": () => find("query").focus(),
    "?": () => find("help").showModal(), Escape: () => { page.select(null); hover(page, null); },
  };
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    const typing = target.matches("input:not([type=range])") || find("help").open;
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest("button") && key === " ") return;
    if (key === "Enter" && target.closest("#canvas")) activate(page, target);
    else if (Object.hasOwn(keys, key)) keys[key]();
    else return;
    event.preventDefault();
  });
}

/** The address of the page with #op-12 behind it brings box 12 into view, so that other pages can link to an op. */
function connectAddress(page) {
  const follow = () => {
    const number = Number(/^#op-(\d+)$/.exec(location.hash)?.[1] ?? NaN);
    if (page.graph.boxes.has(number)) page.jump(number);
  };
  window.addEventListener("hashchange", follow);
  follow();
}

/** The whole picture as a file of its own, in the colours of the page. */
function saveSvg({ graph, places, world }) {
  const style = getComputedStyle(document.documentElement);
  const css = find("graph-style").textContent;
  const names = new Set([...css.matchAll(/var\((--[\w-]+)/g)].map((match) => match[1]));
  const values = [...names].map((name) => `${name}:${style.getPropertyValue(name)}`).join(";");
  const rules = make("style");
  rules.textContent = `svg{${values}}\n${css}`;
  const copy = world.cloneNode(true);
  copy.setAttribute("transform", "translate(24 64)");
  const [width, height] = [Math.max(places.width, 420) + 48, places.height + 88];
  const head = [text(cell(graph.title, "big"), 24, 28), text(cell(graph.subtitle, "about", "pale"), 24, 48)];
  const svg = make("svg", { xmlns: SVG, id: "canvas", width, height, viewBox: `0 0 ${width} ${height}` }, [
    rules, make("rect", { class: "paper", width, height }), ...head, copy,
  ]);
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" }));
  const link = h("a", { href: url, download: "graph.svg" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

new Page(JSON.parse(find("data").textContent));
