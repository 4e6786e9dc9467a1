// One camera's picture: H.264 through MediaSource where the browser can, JPEG on a canvas where not.

const CODEC = 'video/mp4; codecs="avc1.64001f"';

/** Seconds by which the picture may be late before it plays faster, and before it jumps. */
const HURRY = 0.05;
const JUMP = 0.5;

/** Seconds of played video that are kept, and of facts about frames that wait to be shown. */
const KEPT = 8;

const RETRY = [500, 1000, 2000, 4000];

export function canPlayVideo() {
  return 'MediaSource' in window && MediaSource.isTypeSupported(CODEC)
    && 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
}

/** Connects to a camera, shows its pictures, and comes back after an interruption. */
export class Player {
  /**
   * @param {string} name of the camera.
   * @param {HTMLVideoElement} video for H.264.
   * @param {HTMLCanvasElement} canvas for JPEG.
   * @param {{state: Function, frame: Function, lost: Function}} events: what to call with the
   *   camera's state, with the facts of the frame that is shown, and when nothing comes any more.
   */
  constructor(name, video, canvas, events) {
    Object.assign(this, {name, video, canvas, events});
    this.stream = canPlayVideo() ? 'h264' : 'jpeg';
    const asked = new URLSearchParams(location.search).get('stream');
    if (asked === 'jpeg' || (asked === 'h264' && this.stream === 'h264')) this.stream = asked;
    this.failures = 0;
    this.skew = 0; // milliseconds by which the server's clock is ahead of this one
    this.running = false;
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.connect();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
    this.socket?.close();
    this.clear();
  }

  /** Press a key of the camera's display. */
  press(key) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({do: key}));
  }

  connect() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const path = `cameras/${encodeURIComponent(this.name)}/live?stream=${this.stream}`;
    const socket = new WebSocket(new URL(path, location.href).href.replace(/^https?:/, scheme));
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.clear();
    let said = {};
    socket.onopen = () => socket.send(JSON.stringify({ping: Date.now()}));
    socket.onmessage = ({data}) => {
      if (typeof data !== 'string') {
        this.failures = 0;
        this.take(said, data);
        return;
      }
      const message = JSON.parse(data);
      if (message.state) {
        this.events.state(message.state);
        if (message.state.no_h264 && this.stream === 'h264') this.fallBack();
      } else if ('pong' in message) {
        const now = Date.now();
        this.skew = message.now - (now + message.pong) / 2;
      } else {
        said = message;
      }
    };
    socket.onclose = () => {
      if (socket !== this.socket || !this.running) return;
      this.events.lost();
      this.timer = setTimeout(() => this.connect(), RETRY[Math.min(this.failures++, 3)]);
    };
  }

  take(said, data) {
    if (said.codec) this.begin(said.codec, data);
    else if (said.at !== undefined) this.append(said, data);
    else this.draw(said.frame, data);
  }

  /** Forget everything that was shown. */
  clear() {
    this.queue = [];
    this.facts = [];
    this.buffer = null;
    this.waiting = null;
    if (this.source) {
      URL.revokeObjectURL(this.video.src);
      this.video.removeAttribute('src');
      this.video.load();
    }
    this.source = null;
  }

  fallBack() {
    this.stream = 'jpeg';
    this.clear();
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.connect();
  }

  shown(facts) {
    const clock = facts.clock ? Date.parse(facts.clock) : null;
    const latency = clock === null ? null : Date.now() + this.skew - clock;
    this.events.frame(facts, latency);
  }

  // --- H.264 -----------------------------------------------------------------------------------

  begin(codec, data) {
    const type = `video/mp4; codecs="${codec}"`;
    this.video.hidden = false;
    this.canvas.hidden = true;
    if (this.source) {
      this.queue.push({type, data});
      this.feed();
      return;
    }
    const source = new MediaSource();
    this.source = source;
    this.video.src = URL.createObjectURL(source);
    this.queue = [{type, data}];
    source.onsourceopen = () => {
      if (source !== this.source) return;
      try {
        this.buffer = source.addSourceBuffer(type);
      } catch {
        this.fallBack();
        return;
      }
      source.duration = Infinity;
      this.buffer.onupdateend = () => { this.follow(); this.feed(); };
      this.feed();
    };
    this.video.onerror = () => { if (source === this.source) this.fallBack(); };
    this.follow();
    this.watch();
  }

  append(said, data) {
    if (!this.source) return;
    this.facts.push({at: said.at, ...said.frame});
    if (this.facts.length > 500) this.facts.shift();
    this.queue.push({at: said.at, data});
    this.feed();
  }

  feed() {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || !this.queue.length || this.source.readyState !== 'open') return;
    const next = this.queue.shift();
    if (next.type && next.type !== this.type && buffer.changeType) buffer.changeType(next.type);
    if (next.type) this.type = next.type;
    if (next.at !== undefined) {
      if (this.newest === undefined || this.video.currentTime === 0) this.first = next.at;
      this.newest = next.at;
    }
    try {
      buffer.appendBuffer(next.data);
    } catch {
      this.trim(1);
      this.queue.unshift(next);
    }
  }

  /** Play what has just come: faster if the picture is late, with a jump if it is very late. */
  follow() {
    const {video, buffer} = this;
    if (!buffer || !buffer.buffered.length || this.newest === undefined) return;
    const start = buffer.buffered.start(buffer.buffered.length - 1);
    const late = this.newest - video.currentTime;
    if (video.currentTime < start || late > JUMP || late < -JUMP) {
      video.currentTime = Math.max(start, this.newest);
      video.playbackRate = 1;
    } else {
      video.playbackRate = late > HURRY ? 1.3 : late < -HURRY / 2 ? 0.9 : 1;
    }
    if (video.paused) video.play().catch(() => {});
    if (video.currentTime - buffer.buffered.start(0) > 2 * KEPT) this.trim(KEPT);
  }

  trim(seconds) {
    const end = this.video.currentTime - seconds;
    if (this.buffer && !this.buffer.updating && end > 0) this.buffer.remove(0, end);
  }

  watch() {
    const source = this.source;
    const step = (_, {mediaTime}) => {
      if (source !== this.source) return;
      let found = null;
      while (this.facts.length && this.facts[0].at <= mediaTime + 0.0005) found = this.facts.shift();
      if (found) this.shown(found);
      this.video.requestVideoFrameCallback(step);
    };
    this.video.requestVideoFrameCallback(step);
  }

  // --- JPEG ------------------------------------------------------------------------------------

  async draw(facts, data) {
    this.waiting = {facts, data};
    if (this.drawing) return;
    this.drawing = true;
    try {
      while (this.waiting && this.running) {
        const next = this.waiting;
        this.waiting = null;
        const picture = await createImageBitmap(new Blob([next.data], {type: 'image/jpeg'}));
        const {canvas} = this;
        if (canvas.width !== picture.width || canvas.height !== picture.height) {
          canvas.width = picture.width;
          canvas.height = picture.height;
        }
        canvas.getContext('2d').drawImage(picture, 0, 0);
        picture.close();
        this.video.hidden = true;
        canvas.hidden = false;
        this.shown(next.facts);
      }
    } finally {
      this.drawing = false;
    }
  }
}
