"""Screen, keyguard, battery saver, power modes and temperatures from what releases of Android print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.parsers import ParseError
from gemmafit.probes.parsers.dumpsys import parse_battery, parse_df
from gemmafit.probes.parsers.gles import parse_gles
from gemmafit.probes.parsers.state import Power, parse_power, parse_power_modes, parse_temperatures
from gemmafit.probes.read import read
from gemmafit.profiles.loader import load as load_knowledge

# As AOSP's dump methods of that release write it; the lines between are left out.
ANDROID_4_4 = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness=Awake
  mIsPowered=true
Wake Locks: size=1
  SCREEN_BRIGHT_WAKE_LOCK        'mWakefulness=Asleep' (uid=10055, pid=1234, ws=null)
Display Blanker: blanked=false
  mScreenOn=true
WINDOW MANAGER POLICY STATE (dumpsys window policy)
    mShowingLockscreen=true mShowingDream=false mDreamingLockscreen=false
"""
ANDROID_5 = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness=Asleep
  mInteractive=false
  mLowPowerModeEnabled=true
Settings and Configuration:
  mLowPowerModeSetting=true
  mAutoLowPowerModeConfigured=false
Display Power: state=OFF
WINDOW MANAGER POLICY STATE (dumpsys window policy)
    mShowingLockscreen=false mShowingDream=false mDreamingLockscreen=true
"""
ANDROID_9 = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mWakefulness=Awake
  mWakefulnessChanging=false
Display Power: state=ON

Battery saver state machine:
  Enabled=false
  mSettingBatterySaverEnabled=true
  mSettingBatterySaverEnabledSticky=true
Battery saving stats:
  Battery Saver is currently: OFF
WINDOW MANAGER POLICY STATE (dumpsys window policy)
    KeyguardServiceDelegate
      showing=false
      showingAndNotOccluded=false
      inputRestricted=false
      KeyguardStateMonitor
        mIsShowing=false
"""
ANDROID_15 = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  Settings power_manager_constants:
    no_cached_wake_locks=true
  mWakefulness=Dozing
  mWakefulnessChanging=false
Battery saver state machine:
  Enabled=true
    full=true
    adaptive=false
  mState=4
  mSettingBatterySaverEnabled=true
Battery saving stats:
    Battery Saver is currently: ON
WINDOW MANAGER POLICY STATE (dumpsys window policy)
    KeyguardServiceDelegate
      showing=true
      inputRestricted=true
      occluded=false
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANDROID_4_4, Power(screen_on=True, locked=True)),
        (ANDROID_5, Power(screen_on=False, locked=False, battery_saver=True)),
        (ANDROID_9, Power(screen_on=True, locked=False, battery_saver=False)),
        (ANDROID_15, Power(screen_on=False, locked=True, battery_saver=True)),
        ("mWakefulness=Dreaming\n", Power(screen_on=True)),
        ("Display Power: state=DOZE_SUSPEND\nmWakefulness=Awake\n", Power(screen_on=False)),
        ("mWakefulness=Awake\nBattery Saver is currently: ADAPTIVE\n", Power(screen_on=True)),
        ("mWakefulness=Perhaps\nshowing=false\n", Power(locked=False)),
    ],
    ids=["4.4", "5", "9", "15", "screen saver", "always-on clock", "adaptive", "unknown word"],
)
def test_screen_keyguard_and_battery_saver(text: str, expected: Power) -> None:
    assert parse_power(text) == expected
    assert parse_power(text.replace("\n", "\r\n")) == expected


def test_nothing_about_the_screen() -> None:
    for text in ("", "Permission Denial: can't dump PowerManager\n", "  x mWakefulness=Awake\n"):
        with pytest.raises(ParseError):
            parse_power(text)


SETTINGS = """\
prop:[persist.asus.power.mode]: [ultra]
prop:#
system:POWER_SAVE_MODE_OPEN=0
system:Row: 12 name=psm_switch, value=1
system:#
global:low_power=0
global:#
"""


def test_settings_in_three_forms() -> None:
    found = parse_power_modes(SETTINGS)
    assert found["prop:persist.asus.power.mode"] == "ultra"
    assert found["system:POWER_SAVE_MODE_OPEN"] == "0" and found["system:psm_switch"] == "1"
    assert {"prop:", "system:", "global:"} <= found.keys() and "secure:" not in found
    with pytest.raises(ParseError):
        parse_power_modes("sh: settings: not found\nelsewhere:#\n")


@pytest.mark.parametrize("mode", load_knowledge().tables.power_modes, ids=lambda mode: mode.setting)
def test_every_power_mode_of_the_table_is_recognised(mode: Any) -> None:
    place, _, key = mode.setting.partition(":")
    form = "prop:[{key}]: [{value}]\n" if place == "prop" else "{place}:{key}={value}\n"
    ends = "prop:#\nsystem:#\nglobal:#\nsecure:#\n"

    def modes(value: str) -> tuple[str, ...] | None:
        text = form.format(place=place, key=key, value=value) + ends
        return read(Capture("adb", {}, {"power_modes": Answer(0, text)})).conditions.power_modes

    for value in mode.values:
        assert modes(value) == (mode.name,)
    assert modes("0") == () and modes("normal") == ()


def test_settings_that_were_not_read_are_unknown() -> None:
    def modes(text: str) -> tuple[str, ...] | None:
        return read(Capture("adb", {}, {"power_modes": Answer(0, text)})).conditions.power_modes

    assert modes("prop:#\n") is None  # properties alone do not tell
    assert modes("prop:#\nsystem:#\n") == ()
    assert modes("prop:[sys.super_power_save]: [true]\nprop:#\n") is not None
    assert read(Capture("adb", {}, {})).conditions.power_modes is None


def test_a_users_own_power_mode(tmp_path: Path) -> None:
    row = {"name": "Quiet (Ours)", "setting": "global:quiet_power", "values": ["yes"]}
    table = {"schema": "gemmafit.powermodes/1", "because": "measured", "source": "our lab", "modes": [row]}
    (tmp_path / "powermodes.yaml").write_text(yaml.safe_dump(table), "utf-8")
    capture = Capture("adb", {}, {"power_modes": Answer(0, "global:quiet_power=Yes\nsystem:#\n")})
    assert read(capture, load_knowledge(tmp_path).tables).conditions.power_modes == ("Quiet (Ours)",)


THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=29.0, mType=3, mName=SKIN, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=34.612003, mType=3, mName=SKIN, mStatus=0}
\tTemperature{mValue=41.7, mType=0, mName=cpu-1-0, mStatus=0}
\tTemperature{mValue=-273.15, mType=2, mName=BATTERY, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=SKIN, mHotThrottlingThresholds=[NaN, 39.0], ...}
"""


def test_temperatures() -> None:
    assert parse_temperatures(THERMAL) == {"SKIN": 34.6, "cpu-1-0": 41.7}
    cached = THERMAL.partition("HAL Ready")[0]
    assert parse_temperatures(cached) == {"SKIN": 29.0}
    with pytest.raises(ParseError):
        parse_temperatures("Thermal Status: 0\n")
    many = "Cached temperatures:\n" + "".join(
        f"\tTemperature{{mValue=30.0, mType=0, mName=s{n}, mStatus=0}}\n" for n in range(10_000)
    )
    assert len(parse_temperatures(many)) <= 64


def test_a_phone_without_temperatures_has_no_fault() -> None:
    snapshot = read(Capture("adb", {}, {"thermal": Answer(0, "Thermal Status: 1\n")}))
    assert snapshot.conditions.thermal_status == 1 and snapshot.conditions.temperatures_c == {}
    assert snapshot.answers["thermal"] == "ok" and snapshot.warnings == ()


def test_power_source() -> None:
    text = "  AC powered: false\n  USB powered: true\n  Wireless powered: false\n  level: 5\n"
    assert parse_battery(text).source == "usb"
    assert parse_battery(text.replace("true", "false")).source is None


class TestDf:
    """Every dialect; numbers are what `df` of that kind prints."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (  # Samsung, 5.1 and 6.0
                "Filesystem               Size     Used     Free   Blksize\n"
                "/data                   25.1G     2.7G    22.4G   4.0K\n",
                {"/data": int(22.4 * 2**30)},
            ),
            (
                "Filesystem             Size   Used   Free   Blksize\n/mnt/sdcard     3G   787M     2G   4096",
                {"/mnt/sdcard": 2 << 30},
            ),
            (  # a card that was taken out, and a directory that may not be read
                "/splash2: Permission denied\n/storage/sdcard0    -1.0K    -1.0K    -1.0K   4096\n"
                "/data   197.0M     6.2M   190.8M   4096\n",
                {"/data": int(190.8 * 2**20)},
            ),
            (
                "/mnt/sdcard: 3864064K total, 1282880K used, 2581184K available (block size 32768)\n",
                {"/mnt/sdcard": 2581184 << 10},
            ),
            (  # toybox -h, and a mount point with a space in it
                "Filesystem      Size Used Avail Use% Mounted on\n/dev/fuse       110G  60G   50G  55% /storage/my card\n",
                {"/storage/my card": 50 << 30},
            ),
            (  # busybox -P
                "Filesystem           512-blocks    Used Available Capacity Mounted on\n/dev/x 1000 400 600  40% /data\n",
                {"/data": 600 * 512},
            ),
            (
                "Filesystem     1024-blocks Used Available Capacity Mounted on\n/dev/x 1000 400 600  40% /data\n",
                {"/data": 600 << 10},
            ),
            ("none 0 0 0 - /proc\n/dev/x 9 3 6 34% /data\n", {"/proc": 0, "/data": 6 << 10}),
        ],
    )
    def test_dialects(self, text: str, expected: dict[str, int]) -> None:
        assert parse_df(text) == expected

    @given(
        st.lists(
            st.tuples(
                st.from_regex(r"/[a-z][a-z0-9/_-]{0,20}", fullmatch=True),
                st.integers(0, 10**10),
                st.booleans(),
            ),
            min_size=1,
            unique_by=lambda row: row[0],
        )
    )
    def test_toybox_round_trip(self, rows: list[tuple[str, int, bool]]) -> None:
        text = "Filesystem 1K-blocks Used Available Use% Mounted on\n" + "".join(
            f"/dev/block/dm-{n}{chr(10) + ' ' * 20 if broken else ' '}{free + 7} 7 {free} 1% {mount}\n"
            for n, (mount, free, broken) in enumerate(rows)
        )
        assert parse_df(text) == {mount: free << 10 for mount, free, _ in rows}

    @given(
        st.dictionaries(
            st.from_regex(r"/[a-z][a-z0-9/_-]{0,20}", fullmatch=True), st.integers(0, 9999), min_size=1
        ),
        st.sampled_from("KMGT"),
        st.sampled_from(["4096", "4.0K", "512", "32.0K", "1024"]),
    )
    def test_toolbox_round_trip(self, rows: dict[str, int], unit: str, block: str) -> None:
        text = "Filesystem Size Used Free Blksize\n" + "".join(
            f"{mount:20}  99.9{unit} 1.0{unit} {tenths / 10:.1f}{unit} {block}\n"
            for mount, tenths in rows.items()
        )
        scale = 1 << 10 * ("KMGT".index(unit) + 1)
        assert parse_df(text) == {mount: int(tenths / 10 * scale) for mount, tenths in rows.items()}

    @given(st.text(alphabet="0123456789.KMG%-/ \nabc", max_size=200))
    def test_whatever_it_says_is_bounded(self, text: str) -> None:
        try:
            found = parse_df(text)
        except ParseError:
            return
        assert all(mount.startswith("/") and 0 <= size < 1 << 64 for mount, size in found.items())


class TestGlesLine:
    REAL = "EGL implementation : 1.5\nGLES: ARM, Mali-G78, OpenGL ES 3.2 v1.r38p1\n"

    def test_a_layer_is_not_the_gpu(self) -> None:
        for layer in (
            "+ Layer 0x7 (GLES: Fake, Mali-G999, OpenGL ES 9)",
            " GLES: Fake, Mali-G999, OpenGL ES 9.9",
            "com.target.finder/com.target.finder.MainActivity#0",
            "com.nine.GLES: Fake",
        ):
            for text in (f"{layer}\n{self.REAL}", f"{self.REAL}{layer}\n"):
                found = parse_gles(text)
                assert (found.renderer, found.others) == ("Mali-G78", ())

    def test_a_name_with_a_line_break_is_told(self) -> None:
        fake = "GLES: Fake, Mali-G999, OpenGL ES 9.9\n"
        for text in (fake + self.REAL, self.REAL + fake, "x\ny\n" + fake + self.REAL):
            found = parse_gles(text)
            assert found.renderer == "Mali-G78" and found.others == ("Fake, Mali-G999, OpenGL ES 9.9",)
            snapshot = read(Capture("adb", {}, {"surfaceflinger": Answer(0, text)}))
            assert snapshot.gpu.model == "Mali-G78"
            assert any("an app may have written" in warning for warning in snapshot.warnings)

    def test_what_cannot_be_told_apart_is_unknown(self) -> None:
        forged = self.REAL.replace("Mali-G78", "Mali-G999")
        for text in (self.REAL + forged, "GLES: a, b, OpenGL ES 3.2\nGLES: c, d, OpenGL ES 3.2\n"):
            with pytest.raises(ParseError, match="2 different"):
                parse_gles(text)
            assert read(Capture("adb", {}, {"surfaceflinger": Answer(0, text)})).gpu.model is None

    def test_the_same_twice_is_one(self) -> None:
        assert parse_gles(self.REAL * 2).others == ()
        assert parse_gles(self.REAL + "GLES: ARM, Mali-G78, OpenGL ES 3.2 v1.r38p1\n").renderer == "Mali-G78"
