"""Recording a call in this process: what each side said, on one clock, in a file of ours."""

from ._local import LocalRecording as LocalRecording
from ._local import open_local_recording as open_local_recording
from ._notes import RecordingNote as RecordingNote
