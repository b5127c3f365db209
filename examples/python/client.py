"""Chats in one room: prints what is said there, says what is typed. Comes back by itself, misses nothing, repeats nothing.
    pip install websockets && python3 client.py http://127.0.0.1:3000 NAME PASSWORD ROOM"""
import asyncio, contextlib, json, random, sys, urllib.error, urllib.parse, urllib.request, uuid
import websockets

url, name, password, title = sys.argv[1:5]
me, names, unsent, since = {}, {}, {}, {"epoch": "", "convs": {}}

def http(method, path, body=None):
    headers = {"content-type": "application/json", "idempotency-key": uuid.uuid4().hex}
    if me: headers["authorization"] = "Bearer " + me["access"]
    data = body and json.dumps(body).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/{path}", data, headers, method=method)))

def sign_in():
    me.clear()
    try: me.update(http("POST", "auth/register", {"email": name + "@example.com", "username": name, "password": password}))
    except urllib.error.HTTPError: me.update(http("POST", "auth/login", {"login": name, "password": password}))

def find_room():
    found = [room for room in http("GET", "rooms?q=" + urllib.parse.quote(title))["items"] if room["title"] == title]
    return (found or [http("POST", "conversations", {"kind": "room", "title": title, "public": True})])[0]["conv"]

def show(message):
    if (user := message["from"]) not in names: names[user] = http("GET", "users/" + user)["name"]
    print(f"{names[user]}: {'(deleted)' if message.get('deleted') else message['text']}", flush=True)

async def send(socket, t, **fields):
    await socket.send(json.dumps({"t": t, "id": uuid.uuid4().hex, **fields}))

async def say_lines(room):  # a line is kept until it is answered: with the next connection it is sent again
    while line := await asyncio.to_thread(sys.stdin.readline):
        frame = {"t": "message", "id": uuid.uuid4().hex, "conv": room, "text": line.rstrip("\n")}
        unsent[frame["id"]] = frame
        with contextlib.suppress(KeyError, websockets.ConnectionClosed): await me["socket"].send(json.dumps(frame))

async def listen(socket, room):
    seqs = since["convs"]
    async for text in socket:
        t, conv, seq = (frame := json.loads(text))["t"], frame.get("conv"), frame.get("seq")
        since["epoch"] = frame.get("epoch", since["epoch"])
        if t == "ready":
            for known in frame["convs"]: seqs.setdefault(known["conv"], known["seq"])
            await send(socket, "join", conv=room)
            for again in list(unsent.values()): await socket.send(json.dumps(again))
            me["socket"] = socket
        elif t in ("behind", "reset", "sync"):  # too much to be pushed: pulled, in pages
            if t == "reset": seqs[conv] = seq
            for item in frame.get("items", []):
                if item["is"] == "message" and conv == room and item["seq"] > seqs[conv]: show(item)
            if t == "sync" and not frame["more"]: seqs[conv] = frame["to"]
            else: await send(socket, "sync", conv=conv, after=frame.get("to", seqs.get(conv, 0)))
        elif "from" in frame and seq > seqs.get(conv, 0):
            seqs[conv] = seq
            if t == "message" and conv == room: show(frame)
        elif t in ("ok", "error") and not frame.get("retry"): unsent.pop(frame.get("id"), None)

async def main():
    sign_in()
    typing = asyncio.create_task(say_lines(room := find_room()))
    while True:
        try:
            async with websockets.connect(url.replace("http", "ws", 1) + "/ws") as socket:
                await send(socket, "hello", token=me["access"], **({"since": since} if since["convs"] else {}))
                await listen(socket, room)
        except (OSError, websockets.WebSocketException) as end:
            if getattr(end, "code", 0) in (4003, 4500): sign_in()
        await asyncio.sleep(random.random() * 2)

asyncio.run(main())
