"""How a Director works: the settings that its configuration holds, and what values they can have."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from twinlock.director.errors.operator import SettingError
from twinlock.director.model.judgement import ManifestPolicy
from twinlock.director.model.records import PROFILES, TUF_PROFILE
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.limits import DEFAULT_LIMITS

_DAY = timedelta(days=1)
MAX_HISTORY_DAYS = 36_500


def _vehicle_periods() -> Periods:
    return Periods(root=timedelta(days=365), targets=_DAY, snapshot=_DAY, timestamp=_DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a Director works. Durations ending in ``_s`` are seconds.

    Metadata of a vehicle is signed again when less than ``renew_before_s`` of its validity is left. A view of the Image
    repository counts as current for ``catalogue_max_age_s``. ``wires`` are the profiles that Roots are published in.
    With ``second_person`` a change of an ECU's key needs the word of a second person. Accepted manifests are kept for
    ``history_days`` days at least (0: forever); ``twinlock director prune`` deletes older ones.
    ``manifest_bytes_per_day`` is the share of each vehicle's manifests (``manifests/daily_share.py``).
    ``stranded`` are the ids of the Root keys that the aktualizr chain was handed over from; until the day
    ``stranded_until`` they sign its Roots too, for vehicles that follow nothing else.
    """

    image_url: str = ""
    database: str = "sqlite:///inventory.sqlite"
    offline_keys: str = "keys/offline"
    online_keys: str = "keys/online"
    periods: Periods = field(default_factory=_vehicle_periods)
    renew_before_s: int = 21_600
    catalogue_max_age_s: int = 60
    report_future_s: int = 300
    report_past_s: int = 2_592_000
    wires: tuple[str, ...] = (TUF_PROFILE,)
    second_person: bool = False
    history_days: int = 0
    manifest_bytes_per_day: int = 64 << 20
    stranded: tuple[str, ...] = ()
    stranded_until: str = ""

    def __post_init__(self) -> None:
        self._check_places()
        shortest = self.shortest.total_seconds()
        if not 0 < self.renew_before_s < shortest:
            raise SettingError(
                setting="renew_before_s",
                reason=f"has to lie between 0 and the shortest validity, {shortest:.0f} seconds",
            )
        for name in ("catalogue_max_age_s", "report_future_s", "report_past_s"):
            if getattr(self, name) < 0:
                raise SettingError(setting=name, reason="cannot be negative")
        if not 0 <= self.history_days <= MAX_HISTORY_DAYS:
            reason = f"has to be 0, to keep everything, or 1 to {MAX_HISTORY_DAYS} days"
            raise SettingError(setting="history_days", reason=reason)
        if self.manifest_bytes_per_day < DEFAULT_LIMITS.report_bytes:
            reason = f"has to be at least {DEFAULT_LIMITS.report_bytes}: one manifest may be as large"
            raise SettingError(setting="manifest_bytes_per_day", reason=reason)
        if TUF_PROFILE not in self.wires or not set(self.wires) <= set(PROFILES):
            reason = f"has to list {TUF_PROFILE} and may list {', '.join(PROFILES[1:])}"
            raise SettingError(setting="wires", reason=reason)

    def _check_places(self) -> None:
        for name in ("database", "offline_keys", "online_keys"):
            if not getattr(self, name):
                raise SettingError(setting=name, reason="cannot be empty; leave it out for the default")
        for name in ("image_url", "database", "offline_keys", "online_keys"):
            if "\0" in getattr(self, name):
                raise SettingError(setting=name, reason="holds a U+0000, which no address and no name of a file has")

    @property
    def shortest(self) -> timedelta:
        """The shortest validity of a vehicle's files."""
        return min(self.periods.of(role) for role in ("targets", "snapshot", "timestamp"))

    @property
    def manifest_policy(self) -> ManifestPolicy:
        """What times in reports are plausible."""
        return ManifestPolicy(
            future=timedelta(seconds=self.report_future_s),
            past=timedelta(seconds=self.report_past_s),
            daily_bytes=self.manifest_bytes_per_day,
        )

    def stranded_keys(self, now: datetime) -> frozenset[str]:
        """The ids of the Root keys that still sign for stranded vehicles."""
        if not self.stranded or now.date() > date.fromisoformat(self.stranded_until):
            return frozenset()
        return frozenset(self.stranded)
