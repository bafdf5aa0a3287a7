# Requires: python 3.11 or later, nothing else
# Usage: python sql_pseudonym.py  (prints the values in sql/functions/pseudonym.slt and date_shift.slt)
#
# HMAC-SHA256 of: name of the function, a zero byte, length of the domain in 8 bytes (big endian), domain, text. A
# pseudonym is the first 16 bytes in hexadecimal; a shift of dates is these bytes as a number, modulo 2 * max_days,
# counted from -max_days without 0.
import datetime
import hashlib
import hmac

KEY = b"a key for tests only"


def digest(key, purpose, domain, text):
    message = purpose.encode() + b"\0" + len(domain.encode()).to_bytes(8, "big") + domain.encode() + text.encode()
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def shift(key, person, max_days):
    place = int.from_bytes(digest(key, "date_shift", "", person), "big") % (2 * max_days)
    return place - max_days if place < max_days else place - max_days + 1


for key, domain, text in [
    (KEY, "", "701-1015"),
    (KEY, "trial", "701-1015"),
    (KEY, "", "42"),
    (KEY, "", ""),
    (KEY, "", "Köln"),
    (KEY, "", "2013-05-17"),
    (b"another key for tests", "", "701-1015"),
]:
    print("pseudonym", key.decode(), repr(domain), repr(text), digest(key, "pseudonym", domain, text).hex())
for person in ["1", "2", "3", "4", "701-1015"]:
    for max_days in [1, 30, 365]:
        days = shift(KEY, person, max_days)
        print("date_shift", person, max_days, days, datetime.date(2013, 5, 17) + datetime.timedelta(days))
