"""Samples in, samples out: PCM, codecs, resampling, packets. Knows no clock and no socket."""

from __future__ import annotations

from .._types import TELNYX_DEFAULT_SAMPLE_RATE as TELNYX_DEFAULT_SAMPLE_RATE
from .._types import TELNYX_L16_SAMPLE_RATE as TELNYX_L16_SAMPLE_RATE
from ._av_codecs import load_codecs as load_codecs
from ._codecs import RECEIVED_ENCODINGS as RECEIVED_ENCODINGS
from ._codecs import SENT_ENCODINGS as SENT_ENCODINGS
from ._codecs import Decoder as Decoder
from ._codecs import open_decoder as open_decoder
from ._conceal import Concealer as Concealer
from ._convert import l16_to_pcm as l16_to_pcm
from ._convert import pcm_to_l16 as pcm_to_l16
from ._convert import pcm_to_pcma as pcm_to_pcma
from ._convert import pcm_to_pcmu as pcm_to_pcmu
from ._convert import pcm_to_telnyx_payload as pcm_to_telnyx_payload
from ._convert import pcma_to_pcm as pcma_to_pcm
from ._convert import pcmu_to_pcm as pcmu_to_pcm
from ._convert import telnyx_payload_to_pcm as telnyx_payload_to_pcm
from ._dtmf_tones import DtmfDetector as DtmfDetector
from ._dtmf_tones import ToneHeard as ToneHeard
from ._dtmf_tones import dtmf_tones as dtmf_tones
from ._l16 import ByteOrderDetector as ByteOrderDetector
from ._mp3 import require_mp3 as require_mp3
from ._packetize import PacketEncoder as PacketEncoder
from ._pcm import PcmData as PcmData
from ._resample import Resampler as Resampler
from ._voice_activity import SpeechEdge as SpeechEdge
from ._voice_activity import VoiceActivity as VoiceActivity
from ._voice_activity import VoiceActivityDetector as VoiceActivityDetector
from ._voice_gate import VoiceGate as VoiceGate
