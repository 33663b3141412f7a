# A plain asyncio server on an inherited socket: keep-alive, and a drain on SIGTERM.
import asyncio
import os
import signal
import socket

stopping = False
serving = set()


async def serve(reader, writer):
    serving.add(asyncio.current_task())
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            close = stopping or b"connection: close" in head.lower()
            body = f"{os.getpid()}\n"
            mode = "close" if close else "keep-alive"
            writer.write(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: {mode}\r\n\r\n{body}".encode()
            )
            await writer.drain()
            if close:
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
        serving.discard(asyncio.current_task())


async def main():
    global stopping
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    listener = socket.socket(fileno=3)
    server = await asyncio.start_server(serve, sock=listener)
    os.write(int(os.environ["NEXUS_READY_FD"]), b"\n")
    await asked.wait()
    stopping = True
    # What waits in the queue is the other workers'. `server.close()` alone would drop what was
    # accepted just before and has no transport yet: accept no more, let it have one, then close.
    loop.remove_reader(listener.fileno())
    await asyncio.sleep(0.2)
    server.close()
    # Idle connections are answered once more.
    if serving:
        await asyncio.wait(serving, timeout=2)


asyncio.run(main())
