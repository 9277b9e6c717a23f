// Speeds and single frames. A browser that cannot decode as fast as it is asked to shows key pictures instead of
// falling behind.
export const RATES = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16];
const FAST = 4;      // from here on decoding is watched
const LAG = 0.6;     // of the asked speed: less is falling behind
const LAGS = 3;      // seconds of it
const HOP = 250;     // ms between key pictures

export function speeds(video, hls, tell) {
  let rate = 1, hopping = 0, slow = 0, last = null, frame = 1 / 25, shown = -1;

  if (video.requestVideoFrameCallback) {
    const seen = (_, m) => {
      const d = m.mediaTime - shown;
      if (!hopping && !video.paused && rate <= 1 && d > 0.008 && d < 1.1) frame = frame === 1 / 25 ? d : Math.min(frame * 1.5, d);
      shown = m.mediaTime;
      video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  }

  const hop = () => {
    if (video.seeking || video.readyState < 2) return;
    const b = video.buffered, end = b.length ? b.end(b.length - 1) : 0;
    if (video.currentTime + 0.1 >= video.duration) { settle(); return; }
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

  return {
    get rate() { return rate; },
    get hopping() { return hopping !== 0; },
    set(n) {
      rate = n;
      settle();
      video.playbackRate = Math.min(16, Math.max(0.0625, n));
      video.muted = video.muted || n > FAST;
      // What is fetched counts as delivered: no further ahead than this speed needs.
      hls.config.maxBufferLength = 20 * Math.max(1, n / 2);
      hls.config.maxMaxBufferLength = 30 * Math.max(1, n / 2);
    },
    stop: settle,
    // frame steps to the next picture, or the one before: how long one lasts is seen, not known, so it is tried.
    async frame(dir) {
      settle();
      video.pause();
      const from = shown >= 0 ? shown : video.currentTime;
      for (let n = 1, at = from; n <= 30; n++) {
        at = from + dir * (n - (dir > 0 ? -0.05 : 0.5)) * frame;
        at = Math.max(0, Math.min(video.duration || at, at));
        const done = wait('seeked', 3000), seen = presented();
        video.currentTime = at;
        await done;
        const now = await seen;
        if (dir > 0 ? now > from + 0.001 : now < from - 0.001) return;
      }
    },
  };
}
