// The page: cameras, their buttons and figures, and the recordings.
import {Player} from './player.js';

const find = (id) => document.getElementById(id);

/** Groups of buttons, by action; each takes the keys of the server's table. */
const GROUPS = {
  View: ['whole', 'face', 'overlay', 'gallery', 'blur', 'next'],
  Regions: ['region'],
  Picture: ['weaker', 'stronger', 'mirror', 'pause', 'fullscreen'],
  Keep: ['snapshot', 'record'],
};

const NOTICES = {
  starting: 'Starting…', restarting: 'It broke off. Starting again…', stalled: 'No picture comes.',
  ended: 'It has come to its end.', failed: 'It cannot be started.',
};

const cameras = new Map();
let actions = [];
let selected = null;

class Camera {
  constructor(state) {
    this.name = state.name;
    this.frame = null;
    this.latency = null;
    const card = find('camera').content.firstElementChild.cloneNode(true);
    this.card = card;
    this.part = (name) => card.querySelector(`.${name}`);
    this.stage = this.part('stage');
    card.dataset.camera = this.name;
    card.setAttribute('aria-label', `Camera ${this.name}`);
    this.part('name').textContent = this.name;
    for (const picture of card.querySelectorAll('.picture')) picture.setAttribute('aria-label', `Live picture of ${this.name}`);
    card.addEventListener('click', () => select(this));
    card.addEventListener('focus', () => select(this));
    this.stage.addEventListener('dblclick', () => this.fullscreen());
    find('cameras').append(card);
    this.player = new Player(this.name, card.querySelector('video'), card.querySelector('canvas'), {
      state: (newest) => this.update(newest),
      frame: (facts, latency) => this.shown(facts, latency),
      lost: () => { this.part('notice').textContent = 'The server does not answer. Trying again…'; check(); },
    });
    this.update(state);
  }

  update(state) {
    this.state = state;
    const moving = state.state === 'running' || (state.state === 'stalled' && this.frame);
    this.part('notice').textContent = state.state === 'running' && this.frame ? ''
      : NOTICES[state.state] ?? 'Waiting for the first picture…';
    if (!moving) this.frame = null;
    this.part('dot').className = `dot ${state.state}`;
    this.part('rec').classList.toggle('on', Boolean(state.recording));
    this.part('paused').classList.toggle('on', Boolean(state.paused));
    this.part('hides').classList.toggle('on', Boolean(state.hides));
    this.part('hides').textContent = state.hides ? `Hidden: ${state.hides}` : '';
    this.part('fps').textContent = state.fps === null || state.fps === undefined ? '' : `${state.fps.toFixed(1)} fps`;
    if (state.width && !this.frame) this.stage.style.aspectRatio = `${state.width} / ${state.height}`;
    if (state.message && state.message !== this.message) say(state.message);
    this.message = state.message;
    if (this.recording && !state.recording) setTimeout(listRecordings, 300);
    this.recording = state.recording;
    if (selected === this) showControls();
    showProblems();
  }

  shown(facts, latency) {
    this.frame = facts;
    if (latency !== null) this.latency = this.latency === null ? latency : 0.9 * this.latency + 0.1 * latency;
    this.part('notice').textContent = '';
    this.part('faces').textContent = count(facts.faces.length, 'face');
    this.part('frame').textContent = `#${facts.index}`;
    this.part('latency').textContent = this.latency === null ? `${facts.time.toFixed(1)} s` : `${Math.round(this.latency)} ms`;
    const {video, canvas} = this.player;
    const [w, h] = canvas.hidden ? [video.videoWidth, video.videoHeight] : [canvas.width, canvas.height];
    if (w) this.stage.style.aspectRatio = `${w} / ${h}`;
    Object.assign(this.card.dataset, {index: facts.index, latency: latency ?? '', stream: this.player.stream});
    if (selected === this) showFrame();
  }

  /** Do what a key or a button means. */
  act(action) {
    if (action.action === 'help') find('help').open ? find('help').close() : find('help').showModal();
    else if (action.action === 'fullscreen') this.fullscreen();
    else if (action.action === 'snapshot') this.snapshot();
    else this.player.press(action.key);
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.requestFullscreen?.().catch(() => say('This browser shows no full screen'));
  }

  async snapshot() {
    const answer = await fetch(`cameras/${this.name}/snapshot.png`);
    if (!answer.ok) {
      say((await answer.json()).error);
      return;
    }
    const name = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition'));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name ? name[1] : `${this.name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`Saved ${link.download}`);
  }
}

// --- controls ------------------------------------------------------------------------------------

function makeButtons() {
  for (const [title, names] of Object.entries(GROUPS)) {
    const heading = document.createElement('h3');
    heading.textContent = title;
    heading.id = `group-${title}`;
    const group = document.createElement('div');
    group.className = 'group';
    group.setAttribute('role', 'group');
    group.setAttribute('aria-labelledby', heading.id);
    for (const action of names.flatMap((name) => actions.filter((a) => a.action === name))) {
      const button = document.createElement('button');
      button.type = 'button';
      Object.assign(button.dataset, {action: action.action, key: action.key, region: action.region});
      button.title = action.text;
      const key = document.createElement('kbd');
      key.textContent = action.key.length === 1 ? action.key.toUpperCase() : action.key;
      key.setAttribute('aria-hidden', 'true');
      button.setAttribute('aria-keyshortcuts', action.key);
      button.append(action.label, ' ', key);
      button.addEventListener('click', () => selected?.act(action));
      group.append(button);
    }
    find('buttons').append(heading, group);
  }
  for (const action of actions) {
    const row = find('keys').insertRow();
    row.insertCell().innerHTML = '<kbd></kbd>';
    row.querySelector('kbd').textContent = action.key;
    row.insertCell().textContent = action.text;
  }
}

/** Which buttons are pressed, by the camera's state. */
const PRESSED = {
  whole: (s) => s.view === 'raw' && s.colors,
  face: (s) => s.view === 'face',
  overlay: (s) => s.colors,
  gallery: (s) => s.view === 'gallery',
  blur: (s) => s.view?.startsWith('blur:'),
  region: (s, name) => s.region === name && /^(isolated|blur):/.test(s.view ?? ''),
  mirror: (s) => s.mirror,
  pause: (s) => s.paused,
  record: (s) => s.recording,
};

function showControls() {
  const {state} = selected;
  find('controls-title').textContent = selected.name;
  for (const button of find('buttons').querySelectorAll('button')) {
    const pressed = PRESSED[button.dataset.action];
    if (pressed) button.setAttribute('aria-pressed', String(Boolean(pressed(state, button.dataset.region))));
    button.disabled = !['running', 'stalled'].includes(state.state) && button.dataset.action !== 'fullscreen';
  }
  showFrame();
}

function showFrame() {
  const {state, frame, latency, player} = selected;
  const rows = {
    State: state.state,
    View: state.title ?? '–',
    'Frames a second': state.fps?.toFixed(1) ?? '–',
    Latency: latency === null ? '–' : `${Math.round(latency)} ms`,
    Faces: frame ? frame.faces.length : '–',
    Frame: frame ? frame.index : '–',
    Dropped: state.dropped ?? '–',
    Reconnects: state.reconnects,
    Viewers: state.viewers,
    Stream: player.stream === 'h264' ? 'H.264' : 'MJPEG',
  };
  const list = find('figures');
  if (!list.children.length) {
    for (const name of Object.keys(rows)) {
      const term = document.createElement('dt');
      term.textContent = name;
      list.append(term, document.createElement('dd'));
    }
  }
  Object.values(rows).forEach((value, i) => {
    const cell = list.children[2 * i + 1];
    if (cell.textContent !== String(value)) cell.textContent = value;
  });
}

function select(camera) {
  if (selected === camera) return;
  selected = camera;
  for (const other of cameras.values()) other.card.setAttribute('aria-current', String(other === camera));
  showControls();
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !selected) return;
  if (event.target.matches('input, select, textarea, video')) return;
  const dialog = document.querySelector('dialog[open]');
  const key = event.key === '=' ? '+' : event.key;
  const action = actions.find((a) => a.key === key || a.key === key.toLowerCase());
  if (!action || (dialog && action.action !== 'help')) return;
  event.preventDefault();
  if (!event.repeat || ['stronger', 'weaker'].includes(action.action)) selected.act(action);
});

// --- the rest --------------------------------------------------------------------------------------

function count(number, what) {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function say(text) {
  const toast = find('says');
  toast.textContent = text;
  toast.classList.add('on');
  clearTimeout(say.timer);
  say.timer = setTimeout(() => toast.classList.remove('on'), 3000);
}

function showProblems() {
  const texts = [...cameras.values()].flatMap((c) => (c.state?.problems ?? []).map((p) => `${c.name}: ${p}`));
  const box = find('problems');
  const before = [...box.children].map((p) => p.textContent);
  if (JSON.stringify(before) !== JSON.stringify(texts)) {
    box.replaceChildren(...texts.map((text) => Object.assign(document.createElement('p'), {textContent: text})));
  }
  const running = [...cameras.values()].filter((c) => c.state?.state === 'running').length;
  find('summary').textContent = `${running} of ${count(cameras.size, 'camera')} running`;
}

const SIZES = [[1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']];

function size(bytes) {
  const [unit, name] = SIZES.find(([least]) => bytes >= least) ?? [1, 'bytes'];
  return `${(bytes / unit).toFixed(unit === 1 ? 0 : 1)} ${name}`;
}

async function listRecordings() {
  const {recordings} = await (await fetch('recordings')).json();
  find('no-recordings').hidden = recordings.length > 0;
  find('recordings').replaceChildren(...recordings.slice(0, 200).map((recording) => {
    const row = document.createElement('li');
    const what = document.createElement('span');
    what.className = 'what';
    const started = new Date(recording.started);
    what.append(`${recording.camera}, ${started.toLocaleString()}`);
    what.append(Object.assign(document.createElement('small'), {textContent: `${recording.file}, ${size(recording.bytes)}`}));
    row.append(what);
    if (recording.plays) {
      const play = Object.assign(document.createElement('button'), {type: 'button', textContent: 'Play'});
      play.setAttribute('aria-label', `Play ${recording.file}`);
      play.addEventListener('click', () => {
        find('player-title').textContent = recording.file;
        find('recording').src = recording.url;
        find('player').showModal();
        find('recording').play().catch(() => {});
      });
      row.append(play);
    }
    const load = Object.assign(document.createElement('a'), {className: 'button', textContent: 'Download', href: recording.url, download: recording.file});
    load.setAttribute('aria-label', `Download ${recording.file}`);
    row.append(load);
    return row;
  }));
}

find('player').addEventListener('close', () => find('recording').removeAttribute('src'));
find('help-button').addEventListener('click', () => find('help').showModal());
find('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const light = root.dataset.theme ? root.dataset.theme === 'light' : matchMedia('(prefers-color-scheme: light)').matches;
  root.dataset.theme = light ? 'dark' : 'light';
  try { localStorage.setItem('facereg-theme', root.dataset.theme); } catch { /* it is not kept */ }
});

/** See whether this page may still ask; after the token was changed it may not. */
async function check() {
  const answer = await fetch('cameras').catch(() => null);
  if (answer?.status === 401) location.reload();
}

document.addEventListener('visibilitychange', () => {
  for (const {player} of cameras.values()) document.hidden ? player.stop() : player.start();
});

async function main() {
  try { document.documentElement.dataset.theme = localStorage.getItem('facereg-theme') ?? ''; } catch { /* the system's */ }
  if (!document.documentElement.dataset.theme) delete document.documentElement.dataset.theme;
  const [found, table] = await Promise.all(['cameras', 'actions'].map(async (path) => (await fetch(path)).json()));
  actions = table.actions;
  makeButtons();
  for (const state of found.cameras) cameras.set(state.name, new Camera(state));
  find('cameras').classList.toggle('many', cameras.size > 1);
  const first = cameras.values().next().value;
  if (first) select(first);
  for (const {player} of cameras.values()) player.start();
  listRecordings();
  setInterval(listRecordings, 15000);
}

main();
