// Requests to the server that gave this page.

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The studio does not answer; is it still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error ?? `The studio answered ${response.status}`);
}

const asJson = (method, body) => ({
  method,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export const get = async (path) => (await answer(path)).json();
export const post = async (path, body = {}) => (await answer(path, asJson("POST", body))).json();
// A small change arrives even from a page that is being closed.
export const put = async (path, body) => {
  const options = asJson("PUT", body);
  return (await answer(path, { ...options, keepalive: options.body.length < 60000 })).json();
};
export const blob = async (path, body) => (await answer(path, asJson("POST", body))).blob();

// The melody of a MIDI file.
export async function readMidi(file, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const options = { method: "POST", headers: { "content-type": "audio/midi" }, body: file };
  return (await answer(`/melody?${new URLSearchParams(given)}`, options)).json();
}

// Follow a job to its end; the promise gives its result.
export function follow(id, onProgress) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(`/jobs/${id}/events`);
    source.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    source.addEventListener("end", (event) => {
      source.close();
      const job = JSON.parse(event.data);
      if (job.state === "done") resolve(job.result);
      else reject(new Error(job.error ?? job.state));
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) reject(new Error("The job was lost"));
    });
  });
}
