# A third-party camera for peer_test.go: GStreamer's RTSP server.
# usage: peer.py AUTH PIPELINE [CERT KEY]; prints its port, ends with its standard input.
import sys
import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtsp', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import Gst, GstRtsp, GstRtspServer, GLib, Gio

Gst.init(None)
auth, pipeline = sys.argv[1:3]
server = GstRtspServer.RTSPServer()
server.set_address('127.0.0.1')
server.set_service('0')
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(pipeline)
server.get_mount_points().add_factory('/cam', factory)
if auth != 'none' or len(sys.argv) > 3:
    a = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string('media.factory.role', 'user')
    factory.add_role_from_structure(Gst.Structure.from_string(
        'user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true')[0])
    if auth == 'digest':
        a.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        a.add_digest('cam', 'watch-test', token)
    elif auth == 'basic':
        a.add_basic(GstRtspServer.RTSPAuth.make_basic('cam', 'watch-test'), token)
    else:
        a.set_default_token(token)
    if len(sys.argv) > 3:
        a.set_tls_certificate(Gio.TlsCertificate.new_from_files(sys.argv[3], sys.argv[4]))
    server.set_auth(a)
server.attach(None)
print(server.get_bound_port(), flush=True)
loop = GLib.MainLoop()
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
loop.run()
