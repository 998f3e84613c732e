"""Conversion between units of measurement, by exact factors."""

from __future__ import annotations

import difflib
from fractions import Fraction
from typing import Literal

from mentor.sandbox import Limits
from mentor.tools.toolset import ToolSet

__all__ = ["units"]

# quantity -> unit -> (size in the quantity's first unit, other names). Sizes are exact by definition (SI, the
# international yard and pound of 1959, the gallons of the US and UK); only the radian is rounded, to 50 digits.
_UNITS: dict[str, dict[str, tuple[str, ...]]] = {
    "length": {
        "metre": ("1", "m meter"),
        "kilometre": ("1000", "km kilometer"),
        "decimetre": ("0.1", "dm decimeter"),
        "centimetre": ("0.01", "cm centimeter"),
        "millimetre": ("0.001", "mm millimeter"),
        "micrometre": ("0.000001", "um µm μm micrometer micron"),
        "nanometre": ("0.000000001", "nm nanometer"),
        "inch": ("0.0254", 'in " inches'),
        "foot": ("0.3048", "ft ' feet"),
        "yard": ("0.9144", "yd"),
        "furlong": ("201.168", ""),
        "mile": ("1609.344", "mi"),
        "nautical mile": ("1852", "nmi"),
        "light-year": ("9460730472580800", "ly lightyear"),
        "astronomical unit": ("149597870700", "au"),
    },
    "mass": {
        "kilogram": ("1", "kg kilo kilogramme"),
        "gram": ("0.001", "g gramme"),
        "milligram": ("0.000001", "mg"),
        "microgram": ("0.000000001", "ug µg μg mcg"),
        "tonne": ("1000", "t metric_ton"),
        "pound": ("0.45359237", "lb lbs"),
        "ounce": ("0.028349523125", "oz"),
        "stone": ("6.35029318", "st stone"),
        "US ton": ("907.18474", "short_ton ton_us"),
        "long ton": ("1016.0469088", "imperial_ton uk_ton"),
        "grain": ("0.00006479891", "gr"),
        "carat": ("0.0002", "ct"),
    },
    "time": {
        "second": ("1", "s sec"),
        "millisecond": ("0.001", "ms msec"),
        "microsecond": ("0.000001", "us µs μs"),
        "nanosecond": ("0.000000001", "ns"),
        "minute": ("60", "min"),
        "hour": ("3600", "h hr"),
        "day": ("86400", "d"),
        "week": ("604800", "wk"),
        "fortnight": ("1209600", ""),
    },
    "temperature": {  # (kelvins per degree, other names, the unit's zero in kelvins)
        "kelvin": ("1", "K", "0"),
        "degree Celsius": ("1", "C °C ℃ celsius centigrade degC", "273.15"),
        "degree Fahrenheit": ("5/9", "F °F ℉ fahrenheit degF", "45967/180"),
        "degree Rankine": ("5/9", "R °R rankine", "0"),
    },
    "area": {
        "square metre": ("1", "m2 m² m^2 sqm square_meter"),
        "square kilometre": ("1000000", "km2 km² km^2 sqkm square_kilometer"),
        "square centimetre": ("0.0001", "cm2 cm² cm^2 square_centimeter"),
        "square millimetre": ("0.000001", "mm2 mm² mm^2 square_millimeter"),
        "hectare": ("10000", "ha"),
        "are": ("100", ""),
        "acre": ("4046.8564224", "ac"),
        "square inch": ("0.00064516", "in2 in² in^2 sq_in square_inches"),
        "square foot": ("0.09290304", "ft2 ft² ft^2 sqft sq_ft square_feet"),
        "square yard": ("0.83612736", "yd2 yd² yd^2 sq_yd"),
        "square mile": ("2589988.110336", "mi2 mi² mi^2 sq_mi"),
    },
    "volume": {
        "litre": ("1", "l L liter"),
        "millilitre": ("0.001", "ml mL milliliter cc"),
        "centilitre": ("0.01", "cl cL centiliter"),
        "decilitre": ("0.1", "dl dL deciliter"),
        "hectolitre": ("100", "hl hL hectoliter"),
        "cubic metre": ("1000", "m3 m³ m^3 cubic_meter"),
        "cubic decimetre": ("1", "dm3 dm³ dm^3 cubic_decimeter"),
        "cubic centimetre": ("0.001", "cm3 cm³ cm^3 cubic_centimeter"),
        "cubic inch": ("0.016387064", "in3 in³ in^3 cu_in cubic_inches"),
        "cubic foot": ("28.316846592", "ft3 ft³ ft^3 cu_ft cubic_feet"),
        "cubic yard": ("764.554857984", "yd3 yd³ yd^3 cu_yd"),
        "US gallon": ("3.785411784", "gal gallon"),
        "US quart": ("0.946352946", "qt quart"),
        "US pint": ("0.473176473", "pt pint"),
        "US cup": ("0.2365882365", "cup"),
        "US fluid ounce": ("0.0295735295625", "fl_oz floz fluid_ounce"),
        "US tablespoon": ("0.01478676478125", "tbsp tablespoon"),
        "US teaspoon": ("0.00492892159375", "tsp teaspoon"),
        "UK gallon": ("4.54609", "imperial_gallon"),
        "UK pint": ("0.56826125", "imperial_pint"),
        "UK fluid ounce": ("0.0284130625", "imperial_fluid_ounce"),
        "oil barrel": ("158.987294928", "bbl barrel"),
    },
    "speed": {
        "metre per second": ("1", "m/s mps meter_per_second"),
        "kilometre per hour": ("5/18", "km/h kmh kph kilometer_per_hour"),
        "mile per hour": ("0.44704", "mph mi/h miles_per_hour"),
        "foot per second": ("0.3048", "ft/s fps feet_per_second"),
        "knot": ("463/900", "kn kt"),
        "speed of light": ("299792458", ""),
    },
    "energy": {
        "joule": ("1", "J"),
        "kilojoule": ("1000", "kJ"),
        "megajoule": ("1000000", "MJ"),
        "calorie": ("4.184", "cal"),
        "kilocalorie": ("4184", "kcal Cal food_calorie"),
        "watt-hour": ("3600", "Wh"),
        "kilowatt-hour": ("3600000", "kWh"),
        "megawatt-hour": ("3600000000", "MWh"),
        "electronvolt": ("1.602176634e-19", "eV"),
        "British thermal unit": ("1055.05585262", "BTU"),
    },
    "power": {
        "watt": ("1", "W"),
        "milliwatt": ("0.001", "mW"),
        "kilowatt": ("1000", "kW"),
        "megawatt": ("1000000", "MW"),
        "gigawatt": ("1000000000", "GW"),
        "horsepower": ("745.69987158227022", "hp"),
        "metric horsepower": ("735.49875", "PS"),
    },
    "data": {
        "byte": ("1", "B"),
        "bit": ("1/8", "b"),
        "kilobyte": ("1000", "kB KB"),
        "megabyte": ("1000000", "MB"),
        "gigabyte": ("1000000000", "GB"),
        "terabyte": ("1000000000000", "TB"),
        "petabyte": ("1000000000000000", "PB"),
        "kibibyte": ("1024", "KiB"),
        "mebibyte": ("1048576", "MiB"),
        "gibibyte": ("1073741824", "GiB"),
        "tebibyte": ("1099511627776", "TiB"),
        "kilobit": ("125", "Kb kbit"),
        "megabit": ("125000", "Mb Mbit"),
        "gigabit": ("125000000", "Gb Gbit"),
    },
    "pressure": {
        "pascal": ("1", "Pa"),
        "hectopascal": ("100", "hPa"),
        "kilopascal": ("1000", "kPa"),
        "megapascal": ("1000000", "MPa"),
        "bar": ("100000", ""),
        "millibar": ("100", "mbar"),
        "atmosphere": ("101325", "atm"),
        "torr": ("20265/152", "Torr"),
        "millimetre of mercury": ("133.322387415", "mmHg millimeter_of_mercury"),
        "pound per square inch": ("8896443230521/1290320000", "psi pounds_per_square_inch"),
    },
    "angle": {
        "degree": ("1", "deg °"),
        "radian": ("57.295779513082320876798154814105170332405472466564", "rad"),
        "turn": ("360", "rev revolution"),
        "gradian": ("0.9", "gon grad"),
        "arcminute": ("1/60", "arcmin"),
        "arcsecond": ("1/3600", "arcsec"),
    },
}
_UNCLEAR = {"ton": "tonne (1000 kg), US ton or long ton"}
_NO_LENGTH = ("month", "year", "decade", "century", "centurie")


def convert_units(value: float, from_unit: str, to_unit: str) -> float:
    """Convert a value from one unit to another, such as 5 "miles" to "km", or 98.6 "°F" to "°C".

    Args:
        value: The number to convert.
        from_unit: Unit of the value, by name (mile, miles) or symbol (mi).
        to_unit: Unit of the result, of the same quantity.

    Returns:
        The value in the other unit, by exact factors.
    """
    quantity, unit = _find(from_unit)
    to_quantity, target = _find(to_unit)
    if quantity != to_quantity:
        raise ValueError(f"{unit} is a unit of {quantity}, {target} one of {to_quantity}; they cannot be converted")
    size, zero = _size(quantity, unit)
    to_size, to_zero = _size(quantity, target)
    # The digits as they are written, not the nearest binary number.
    base = Fraction(str(value)) * size + zero
    if quantity == "temperature" and base < 0:
        raise ValueError(f"{value} {unit} is below absolute zero")
    result = (base - to_zero) / to_size
    try:
        return result.numerator if result.denominator == 1 else float(result)
    except OverflowError:
        raise ValueError("the result is too large") from None


def list_units(
    quantity: Literal[
        "length",
        "mass",
        "time",
        "temperature",
        "area",
        "volume",
        "speed",
        "energy",
        "power",
        "data",
        "pressure",
        "angle",
    ],
) -> list[str]:
    """List the units of a quantity that convert_units knows.

    Args:
        quantity: The quantity.

    Returns:
        Each unit with its other names, such as "mile (mi)".
    """
    listed = []
    for unit, entry in _UNITS[quantity].items():
        others = ", ".join(other.replace("_", " ") for other in entry[1].split())
        listed.append(f"{unit} ({others})" if others else unit)
    return listed


def _size(quantity: str, unit: str) -> tuple[Fraction, Fraction]:
    entry = _UNITS[quantity][unit]
    return Fraction(entry[0]), Fraction(entry[2] if len(entry) > 2 else "0")


def _find(name: str) -> tuple[str, str]:
    """Quantity and unit of a name."""
    plain = " ".join(name.replace("_", " ").split())
    lower = plain.lower()
    if found := _NAMES.get(plain) or _NAMES.get(lower):
        return found
    # A symbol in the wrong case, where it can mean one thing only.
    spellings = sorted(spelling for spelling in _NAMES if spelling.lower() == lower)
    if len({_NAMES[spelling] for spelling in spellings}) == 1:
        return _NAMES[spellings[0]]
    shown, single = repr(plain[:60]), lower.removesuffix("s")
    if spellings:
        raise ValueError(f"the unit {shown} may be {' or '.join(spellings)}; upper and lower case matter")
    if single in _UNCLEAR:
        raise ValueError(f"the unit {shown} may be {_UNCLEAR[single]}; give one of these")
    if single in _NO_LENGTH:
        raise ValueError(f"the unit {shown} has no fixed length; give days, or compute with dates")
    # Comparing with all of them takes milliseconds.
    near = [spelling for spelling in _NAMES if spelling[0] == lower[:1]]
    close = difflib.get_close_matches(lower[:60], near, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"list_units names those of {', '.join(_UNITS)}"
    raise ValueError(f"unknown unit {shown}; {hint}")


def _spellings() -> dict[str, tuple[str, str]]:
    """Each name, with its quantity and unit; symbols keep their case, longer names have a plural too."""
    names = {}
    for quantity, known in _UNITS.items():
        for unit, entry in known.items():
            for name in [unit, unit.replace("-", " "), *(other.replace("_", " ") for other in entry[1].split())]:
                names[name] = (quantity, unit)
                if (len(name) > 3 or name == unit) and name[-1].isalpha():
                    names[name.lower()] = names[_plural(name.lower())] = (quantity, unit)
    return names


def _plural(name: str) -> str:
    """Plural of a name: metres, feet per second, millimetres of mercury, degrees celsius."""
    head, between, rest = name.partition(" per ")
    if not between:
        head, between, rest = name.partition(" of ")
    if head.startswith("degree "):
        return head.replace("degree", "degrees", 1)
    return head + ("" if head.endswith("s") else "s") + between + rest


_NAMES = _spellings()  # made once, not at each call


def units(*, limits: Limits | None = None) -> ToolSet:
    """Two tools, ``convert_units`` and ``list_units``: 130 units of 12 quantities.

    Args:
        limits: What one call may use; without it 1 second, 128 MB and 16 KB.

    Example:
        >>> tools = units()
        >>> tools.call("convert_units", {"value": 26.2, "from_unit": "miles", "to_unit": "km"}).value
        42.1648128
        >>> tools.call("convert_units", {"value": 1, "from_unit": "kg", "to_unit": "cm"}).fault.message
        'ValueError: kilogram is a unit of mass, centimetre one of length; they cannot be converted'
    """
    limits = Limits(timeout_ms=1_000, memory_mb=128, output_kb=16) if limits is None else limits
    return ToolSet.from_functions([convert_units, list_units], limits=limits, pure=True, check=False)
