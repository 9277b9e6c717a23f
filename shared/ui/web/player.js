// The player of one viewing. The viewing was opened, and its entry committed, before this page was made;
// here only bytes are fetched, shown, and the end is told.
import Hls from 'hls.js/light';

const box = document.querySelector('[data-player]');
if (box) start(box);

function start(box) {
  const video = box.querySelector('video');
  const note = box.querySelector('[data-msg]');
  const live = box.hasAttribute('data-live-view');
  const from = Number(box.getAttribute('data-from')) || 0; // ms, UTC
  const zone = Number(box.getAttribute('data-zone')) || 0; // minutes east
  const at = Number(box.getAttribute('data-at')) || from;
  const pos = document.querySelector('[data-pos]');
  const clock = document.querySelector('[data-clock]');
  const stampEl = document.querySelector('[data-stamp]');
  let ended = false;

  const say = (code) => {
    const t = box.getAttribute('data-msg-' + code) || box.getAttribute('data-msg-other') || '';
    if (note) { note.textContent = t; note.hidden = !t; }
  };
  const two = (n) => String(n).padStart(2, '0');
  const hms = (ms) => { const d = new Date(ms + zone * 60000); return two(d.getUTCHours()) + ':' + two(d.getUTCMinutes()) + ':' + two(d.getUTCSeconds()); };
  const ymd = (ms) => { const d = new Date(ms + zone * 60000); return d.getUTCFullYear() + '-' + two(d.getUTCMonth() + 1) + '-' + two(d.getUTCDate()); };

  if (!Hls.isSupported()) { say('unsupported'); return; }
  const hls = new Hls({
    enableWorker: false, // a worker from a blob would need a wider content policy
    lowLatencyMode: live,
    liveSyncDurationCount: 2,
    maxBufferLength: live ? 6 : 20, // what is fetched counts as delivered: do not fetch far ahead
    maxMaxBufferLength: live ? 10 : 30,
    backBufferLength: 30,
    fragLoadPolicy: { default: { maxTimeToFirstByteMs: 8000, maxLoadTimeMs: 20000, timeoutRetry: { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000 }, errorRetry: { maxNumRetry: 2, retryDelayMs: 500, maxRetryDelayMs: 2000 } } },
  });
  hls.on(Hls.Events.ERROR, (_, d) => {
    if (d.response && d.response.code >= 400) say(d.response.code);
    else if (d.fatal) say(d.type === Hls.ErrorTypes.NETWORK_ERROR ? 'network' : 'media');
    if (d.fatal && d.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
  });
  const frags = () => { const l = hls.levels && hls.levels[0]; return (l && l.details && l.details.fragments) || []; };
  // The wall clock of the frame on screen, and the way back.
  const wall = () => {
    const t = video.currentTime;
    let hit = null;
    for (const f of frags()) { if (f.start <= t + 0.05 && f.programDateTime) hit = f; }
    return hit ? hit.programDateTime + (t - hit.start) * 1000 : 0;
  };
  const seek = (ms) => {
    const list = frags().filter((f) => f.programDateTime);
    for (const f of list) {
      if (ms < f.programDateTime + f.duration * 1000) { video.currentTime = Math.max(f.start, f.start + (ms - f.programDateTime) / 1000); return; }
    }
    if (list.length) video.currentTime = list[list.length - 1].start;
  };
  let placed = live;
  hls.on(Hls.Events.LEVEL_LOADED, () => {
    if (!placed) { placed = true; setTimeout(() => { if (at > from) seek(at); play(); }, 0); }
  });
  hls.loadSource(box.getAttribute('data-src'));
  hls.attachMedia(video);
  const play = () => { const p = video.play(); if (p) p.catch(() => {}); };
  if (live) video.addEventListener('canplay', play, { once: true });

  const show = () => {
    const w = wall();
    if (!w) return;
    if (clock) clock.textContent = hms(w);
    if (stampEl) stampEl.textContent = ymd(w) + ' ' + hms(w);
    if (pos && document.activeElement !== pos) pos.value = String(Math.round((w - from) / 1000));
  };
  video.addEventListener('timeupdate', show);
  video.addEventListener('seeked', show);
  video.addEventListener('playing', () => { if (note) note.hidden = true; });
  if (pos) pos.addEventListener('change', () => { seek(from + Number(pos.value) * 1000); pos.blur(); });

  const act = {
    play: () => { if (video.paused) play(); else video.pause(); },
    back: () => seek(wall() - 10000),
    fwd: () => seek(wall() + 10000),
    frame: () => { video.pause(); video.currentTime += 1 / 25; },
  };
  document.querySelectorAll('[data-act]').forEach((b) => {
    const f = act[b.getAttribute('data-act')];
    if (f) b.addEventListener('click', f);
  });
  document.querySelectorAll('[name="speed"]').forEach((r) => r.addEventListener('change', () => { video.playbackRate = Number(r.value); }));
  const button = document.querySelector('[data-act="play"]');
  const face = () => { if (button) button.classList.toggle('is-playing', !video.paused); };
  video.addEventListener('play', face);
  video.addEventListener('pause', face);
  document.addEventListener('keydown', (ev) => {
    if (/^(INPUT|TEXTAREA|SELECT|BUTTON|A)$/.test(ev.target.tagName)) return;
    const f = { ' ': act.play, ArrowLeft: act.back, ArrowRight: act.fwd, '.': act.frame }[ev.key];
    if (f) { ev.preventDefault(); f(); }
  });
  video.addEventListener('contextmenu', (ev) => ev.preventDefault());

  // The end of the viewing is told when the page goes; the server ends it by itself when nothing is fetched.
  const end = () => {
    if (ended) return;
    ended = true;
    navigator.sendBeacon(box.getAttribute('data-close'), '');
    hls.destroy();
  };
  addEventListener('pagehide', end);
}
