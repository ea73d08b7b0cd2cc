"""A load of phone calls on a media server: many media sockets, each a packet every 20 ms.

Independent of the library: its own WebSocket frames, its own messages, its own pacing. One thread;
a packet costs it 15 to 20 us there and back, so that one core carries 500 calls and more. It tells
its own load, and how many packets it sent late, so that nobody is blamed for what is its own fault.

A media server may be asked in two ways:

- "socket": connect to a path, and speak as Telnyx does from there;
- "telnyx": be Telnyx. Send a signed ``call.initiated``, take the ``answer`` command at a REST API,
  and connect to the ``stream_url`` that it names.

Each call sends random PCMU and expects it back, byte for byte, in order, in pieces of any size. The
delay of a packet is the time from when it was due to leave to when its last byte has come back.
"""
