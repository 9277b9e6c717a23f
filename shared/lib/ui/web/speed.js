// Speeds and single frames. A browser that cannot decode as fast as it is asked to shows key pictures instead of
// falling behind.
export const RATES = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16];
const FAST = 4;      // from here on decoding is watched
const LAG = 0.6;     // of the asked speed: less is falling behind
const LAGS = 3;      // seconds of it
const HOP = 250;     // ms between key pictures

export function speeds(video, hls, tell) {
  // frame: how long a picture lasts, as seen; 0 while nothing was seen to play.
  let rate = 1, hopping = 0, slow = 0, last = null, frame = 0, shown = -1, muted = null;

  if (video.requestVideoFrameCallback) {
    const seen = (_, m) => {
      const d = m.mediaTime - shown;
      if (!hopping && !video.paused && rate <= 1 && d > 0.008 && d < 1.1) frame = frame ? Math.min(frame * 1.5, d) : d;
      shown = m.mediaTime;
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  }

  const hop = () => {
    if (video.seeking || video.readyState < 2) return;
    const b = video.buffered, end = b.length ? b.end(b.length - 1) : 0;
    if (video.currentTime + 0.1 >= video.duration) { settle(); tell('last'); return; }
    video.currentTime = Math.min(video.currentTime + rate * HOP / 1000, Math.max(end, video.currentTime + 1), video.duration || Infinity);
  };
  const settle = () => { clearInterval(hopping); hopping = 0; };

  // Once a second: is what was asked for really shown?
  setInterval(() => {
    if (hopping || rate < FAST || video.paused || video.seeking || video.readyState < 3) { last = null; slow = 0; return; }
    const t = performance.now(), at = video.currentTime;
    if (last && t - last.t > 500) {
      const q = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
      const ran = (at - last.at) / ((t - last.t) / 1000 * rate);
      const froze = q && last.frames === q.totalVideoFrames - q.droppedVideoFrames;
      slow = ran < LAG || froze ? slow + 1 : 0;
    }
    const q = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
    last = { t, at, frames: q ? q.totalVideoFrames - q.droppedVideoFrames : -1 };
    if (slow >= LAGS) {
      slow = 0;
      video.pause();
      hopping = setInterval(hop, HOP);
      tell('slow');
    }
  }, 1000);

  const wait = (name, ms) => new Promise((done) => { const t = setTimeout(done, ms); video.addEventListener(name, () => { clearTimeout(t); done(); }, { once: true }); });
  const presented = () => new Promise((done) => {
    if (!video.requestVideoFrameCallback) { setTimeout(() => done(video.currentTime), 60); return; }
    const t = setTimeout(() => done(shown), 120);
    video.requestVideoFrameCallback((_, m) => { clearTimeout(t); done(m.mediaTime); });
  });

  // Steps wait for each other; any other command ends them.
  const steps = [];
  let turn = 0, running = false;
  const stop = () => { turn++; steps.length = 0; settle(); };

  // How long a picture lasts is seen, not known, so the next one is tried for, ever further off.
  const distance = (n) => (frame ? n * frame : n <= 6 ? n / 60 : 0.1 * Math.pow(1.4, n - 6));
  const step = async (dir, mine) => {
    const from = shown >= 0 ? shown : video.currentTime;
    for (let n = 1; n <= 24; n++) {
      const unit = frame || 1 / 60;
      const want = from + dir * (distance(n) + (dir > 0 ? 0.05 : -0.5) * unit);
      const at = Math.max(0, Math.min(video.duration || want, want));
      const done = wait('seeked', 3000), seen = presented();
      video.currentTime = at;
      await done;
      const now = await seen;
      if (turn !== mine || (dir > 0 ? now > from + 0.001 : now < from - 0.001)) return;
      if (at !== want) break; // the end, or the beginning
    }
    if (turn === mine) { steps.length = 0; tell('last'); }
  };
  const run = async () => {
    if (running) return;
    running = true;
    while (steps.length) await step(steps.shift(), turn);
    running = false;
  };

  // A media source that begins again plays at the browser's own speed; what is asked for holds.
  video.addEventListener('loadedmetadata', () => { video.playbackRate = video.defaultPlaybackRate; });

  return {
    get rate() { return rate; },
    get hopping() { return hopping !== 0; },
    get shown() { return shown >= 0 && video.requestVideoFrameCallback ? shown : video.currentTime; },
    set(n) {
      rate = n;
      stop();
      video.defaultPlaybackRate = video.playbackRate = Math.min(16, Math.max(0.0625, n));
      if (n > FAST && muted === null) { muted = video.muted; video.muted = true; }
      if (n <= FAST && muted !== null) { video.muted = muted; muted = null; }
      // What is fetched counts as delivered: no further ahead than this speed needs.
      hls.config.maxBufferLength = 20 * Math.max(1, n / 2);
      hls.config.maxMaxBufferLength = 30 * Math.max(1, n / 2);
    },
    stop,
    // frame steps to the next picture, or the one before.
    frame(dir) {
      settle();
      video.pause();
      if (steps.length < 60) steps.push(dir);
      run();
    },
  };
}
