// Pan and zoom: what part of the picture the window shows.

const ZOOM = { least: 0.02, most: 4 };
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

class Camera {
  constructor(svg, world) {
    Object.assign(this, { svg, world, x: 0, y: 0, scale: 1, size: { width: 1, height: 1 }, pointers: new Map(), moved: false });
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) svg.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
  }

  get margin() { return this.frame.width < 600 ? 12 : 28; }

  get frame() { return this.svg.getBoundingClientRect(); }

  set(x, y, scale = this.scale) {
    cancelAnimationFrame(this.moving);
    this.#show(x, y, scale);
  }

  #show(x, y, scale) {
    Object.assign(this, { x, y, scale: Math.min(ZOOM.most, Math.max(ZOOM.least, scale)) });
    this.world.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
    this.svg.classList.toggle("far", this.scale < 0.25);
  }

  /** Zoom by a factor around a point of the window, by default its middle. */
  zoom(factor, at = { x: this.frame.width / 2, y: this.frame.height / 2 }) {
    const scale = Math.min(ZOOM.most, Math.max(ZOOM.least, this.scale * factor));
    const ratio = scale / this.scale;
    this.set(at.x - (at.x - this.x) * ratio, at.y - (at.y - this.y) * ratio, scale);
  }

  /** Show the whole picture. */
  fit(least = ZOOM.least) {
    const { width, height } = this.frame;
    const { margin } = this;
    const room = { width: width - 2 * margin, height: height - 2 * margin };
    const whole = Math.min(room.width / this.size.width, room.height / this.size.height, 1.25);
    const scale = Math.max(whole, least);
    // What does not fit is shown from the top: there the data comes in.
    const y = this.size.height * scale <= room.height + 1 ? (height - this.size.height * scale) / 2 : margin;
    this.set((width - this.size.width * scale) / 2, y, scale);
  }

  /** Move the picture as little as it takes to fill the window, or to be all in it. */
  contain() {
    const { frame: { width, height }, margin, scale, size } = this;
    const inside = (at, length, room) => {
      const ends = [margin, room - length * scale - margin];
      return Math.min(Math.max(at, Math.min(...ends)), Math.max(...ends));
    };
    this.set(inside(this.x, size.width, width), inside(this.y, size.height, height));
  }

  /** At the start: readable, even if not everything fits. */
  open() { this.fit(this.size.width > 3 * this.frame.width ? 0.45 : 0.8); }

  /** Move a rectangle of the picture into the window, smoothly; only if needed, unless `centre`. */
  reveal({ x, y, width, height }, centre = false) {
    const { width: w, height: h } = this.frame;
    const [left, top] = [x * this.scale + this.x, y * this.scale + this.y];
    const inside = left > 30 && top > 30 && left + width * this.scale < w - 30 && top + height * this.scale < h - 30;
    if (inside && !centre) return;
    const scale = centre ? Math.max(this.scale, 0.7) : this.scale;
    this.glide(w / 2 - (x + width / 2) * scale, h / 2 - (y + height / 2) * scale, scale);
  }

  glide(x, y, scale) {
    cancelAnimationFrame(this.moving);
    if (calm.matches || document.hidden) {
      this.#show(x, y, scale);
      return;
    }
    const from = { x: this.x, y: this.y, scale: this.scale };
    const start = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - start) / 260));
      const eased = 1 - (1 - part) ** 3;
      const between = (a, b) => a + (b - a) * eased;
      this.#show(between(from.x, x), between(from.y, y), between(from.scale, scale));
      if (part < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const [dx, dy] = [event.deltaX * lines, event.deltaY * lines];
    // Two fingers on a trackpad pan; they send small or sideways steps, a wheel large vertical ones.
    const trackpad = event.deltaMode === 0 && (dx !== 0 || Math.abs(dy) < 40);
    if (trackpad && !event.ctrlKey) this.set(this.x - dx, this.y - dy);
    else this.zoom(Math.exp(-dy * (event.ctrlKey ? 0.01 : 0.0016)), this.#at(event));
  }

  #at(event) {
    const { left, top } = this.frame;
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #down(event) {
    if (event.button > 0) return;
    this.moved = false;
    this.travelled = 0;
    this.pointers.set(event.pointerId, this.#at(event));
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    this.travelled += Math.hypot(dx, dy);
    if (this.travelled > 4 && !this.moved) {
      // Captured only now: a captured pointer sends its click to the canvas and not to the box under it.
      this.moved = true;
      this.svg.setPointerCapture(event.pointerId);
    }
    if (other) {
      const spread = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
      this.set(this.x + dx / 2, this.y + dy / 2);
      this.zoom(spread(now, other) / spread(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else this.set(this.x + dx, this.y + dy);
  }
}
