"""open_client_websocket: requests, answers good and bad, TLS."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from _websocket.websocket_peers import PATH, WirePeer, open_tcp_pair
from _websocket.websocket_streams import WatchedClose, stream_pair
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from wsproto import ConnectionType

from telnyx_trio._errors import RemoteProtocolError
from telnyx_trio._websocket import WebSocketRejected, open_client_websocket, open_server_websocket


async def test_client_sends_host_path_and_headers() -> None:
    """The client's request carries what the URL and the caller say."""
    our_stream, their_stream = await open_tcp_pair()
    peer = WirePeer(their_stream, ConnectionType.SERVER)
    seen = []

    async def be_peer() -> None:
        seen.append(await peer.answer())
        await peer.wait_closed()

    async with their_stream, trio.open_nursery() as nursery:
        nursery.start_soon(be_peer)
        async with open_client_websocket(
            f"ws://example.com:8080{PATH}", extra_headers=[(b"x-auth", b"1")], stream=our_stream
        ) as websocket:
            assert websocket.path == PATH
    assert seen[0].host == "example.com:8080"
    assert seen[0].target == PATH
    assert (b"x-auth", b"1") in seen[0].extra_headers


async def test_client_connects_to_port_of_url() -> None:
    """Without a stream the client connects by itself."""
    codes = []

    async def serve(stream: trio.SocketStream) -> None:
        async with open_server_websocket(stream) as websocket:
            await websocket.accept()
            with pytest.raises(trio.EndOfChannel):
                await websocket.receive_text()
            codes.append(websocket.close_code)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with open_client_websocket(f"ws://127.0.0.1:{port}") as websocket:
            assert websocket.path == "/"
            await websocket.ping()
            await websocket.aclose(4000)
        nursery.cancel_scope.cancel()
    assert codes == [4000]


async def test_rejected_client_learns_status() -> None:
    """An answer other than 101 is WebSocketRejected with its status."""
    our_stream, their_stream = await open_tcp_pair()
    stream = WatchedClose(our_stream)

    async def serve() -> None:
        async with open_server_websocket(their_stream) as websocket:
            await websocket.reject(418, b"a teapot")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(2), pytest.raises(WebSocketRejected) as caught:
            async with open_client_websocket("ws://example.com/secret", stream=stream):
                pytest.fail("opened")
        assert caught.value.status == 418
        assert "secret" not in str(caught.value)
    assert stream.is_closed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", RemoteProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", RemoteProtocolError),
        (b"HTTP/1.1 101 Swi", trio.BrokenResourceError),
        (b"", trio.BrokenResourceError),
    ],
    ids=["other protocol", "no key", "cut short", "nothing"],
)
async def test_bad_answer_to_client(answer: bytes, expected: type[Exception]) -> None:
    """A server that is none, or goes away, is told by the seam's errors; the stream is closed."""
    ours, send, theirs = stream_pair()
    await send.send_all(answer)
    await send.aclose()
    with trio.fail_after(2), pytest.raises(expected):
        async with open_client_websocket("ws://example.com/", stream=ours):
            pytest.fail("opened")
    assert ours.is_closed
    await theirs.aclose()


async def test_client_meets_handshake_timeout(autojump_clock: trio.testing.MockClock) -> None:
    """A server that never answers is given up in time."""
    ours, _, theirs = stream_pair()
    with pytest.raises(RemoteProtocolError, match="in time"):
        async with open_client_websocket("ws://example.com", stream=ours, handshake_timeout=2):
            pytest.fail("opened")
    assert trio.current_time() == pytest.approx(2)
    await theirs.aclose()


async def test_refused_connection_is_broken() -> None:
    """Where nobody listens there is BrokenResourceError, with the host and no path."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(trio.BrokenResourceError, match=f"127.0.0.1:{port}") as caught:
        async with open_client_websocket(f"ws://127.0.0.1:{port}/secret"):
            pytest.fail("opened")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.com/s", "ws:///s", "example.com", "ws://é.org/s"])
async def test_unusable_url_is_value_error(url: str) -> None:
    """Only ASCII URLs of ws and wss with a host will do; the error shows no path."""
    with pytest.raises(ValueError, match="ws://") as caught:
        async with open_client_websocket(url):
            pytest.fail("opened")
    assert "/s" not in str(caught.value).replace("ws://", "").replace("wss://", "")


async def test_wss_speaks_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wss:// URL is reached over TLS, the certificate checked."""
    certificate, key = write_certificate(tmp_path)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            async with open_server_websocket(stream) as websocket:
                await websocket.accept()
                await websocket.send_text("over TLS")
                with pytest.raises(trio.EndOfChannel):
                    await websocket.receive_text()
        except trio.BrokenResourceError:
            pass  # the client that does not trust us

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            partial(trio.serve_ssl_over_tcp, serve, 0, server_context, host="127.0.0.1")
        )
        port = listener.transport_listener.socket.getsockname()[1]
        with trio.fail_after(5):
            async with open_client_websocket(f"wss://localhost:{port}/") as websocket:
                assert await websocket.receive_text() == "over TLS"
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(trio.BrokenResourceError):
                async with open_client_websocket(f"wss://localhost:{port}/"):
                    pytest.fail("opened")
        nursery.cancel_scope.cancel()


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"
