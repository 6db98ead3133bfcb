# ruff: noqa: RUF001
"""Names of tracks in encodings that the file does not state."""

import pytest

from melodyconstraints.melody.midi.names import decode_name

LATIN_1 = """Mélodie Flûte Melodía Ténor Größe Bläser Chöre Flöte Violão Coração Fünf Klavier|Höhe
Señor|Voz é Été été À à l’âme Viola|d’amore Rock’n’Roll “Lead” L’été Trompête Forêt|Maître Cité
FLÛTE MÉLODIE Noël naïveté Hälfte Überton Öl Björn Ångström Más São|Paulo nº|2 Guitarra|acústica
Contrabaixo|elétrico Percussão Tambourin|à|cordes Hautbois|(2ème) Chœur Œuvre Kontrabaß
Stimme|für|Chor Voix|féminine Rêverie Cañón Batería Órgano Güiro"""
CYRILLIC = """Мелодия Бас Скрипка Хор Соло Гитара БАС РОЯЛЬ Фортепиано голос вова ля дом меди Ёлка
Виолончель|1 Ударные Контрабас Флейта Труба Аккордеон Баян скрипка|и|альт Вокал СОЛО Ритм-гитара
Орган Балалайка Дорожка|№1 Новая|дорожка"""
JAPANESE = """メロディ 旋律 ピアノ ベース ドラム 弦 笛 EGギター Vo.メロ メロディー
歌 主旋律 ギター1 琴 尺八 ストリングス ﾒﾛﾃﾞｨ ﾄﾞﾗﾑ ﾋﾟｱﾉ ﾍﾞｰｽ
ﾊﾞｲｵﾘﾝ 伴奏 ボーカル ヴァイオリン 右手 左手 フルート ソロ コーラス ｷﾞﾀｰ
三味線 和音・伴奏 オルガン（右）"""


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        *[(name, "cp1252") for name in LATIN_1.split()],
        *[(name, "cp1251") for name in CYRILLIC.split()],
        *[(name, "cp932") for name in JAPANESE.split()],
    ],
)
def test_a_name_is_read_in_its_encoding_and_in_utf_8(name, encoding):
    name = name.replace("|", " ")
    assert decode_name(name.encode(encoding)) == name
    assert decode_name(name.encode("utf-8")) == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"Lead\0 \r\n", "Lead"),
        (b"", ""),
        (b"\0", ""),
        ("e\u0301".encode(), "é"),  # composed
        ("Flöte".encode("utf-8-sig"), "Flöte"),
        (b"\xef\xbb\xbf\0", ""),
        (b"\xef\xbb\xbfFl\xf6te", "Flöte"),  # Latin-1 behind a mark that says otherwise
        ("Flöte".encode("utf-16"), "Flöte"),
        (b"\xff\xfe" + " Lead\0".encode("utf-16-le"), "Lead"),
        (b"\xfe\xff" + "メロディ".encode("utf-16-be"), "メロディ"),
        (b"\xff\xfe" + "Lead".encode("utf-16-le") + b"\0", "Lead"),  # half a character more
        (b"\xed\xa0\x80", "\u00ed \u20ac".replace(" ", "\u00a0")),  # no lone surrogate
        (b"\x81", "\ufffd"),  # nothing in any of them
    ],
)
def test_whatever_the_bytes_are_the_name_is_text(data, name):
    assert decode_name(data) == name
    decode_name(data).encode("utf-8")


def test_every_byte_pair_gives_text_that_utf_8_can_hold():
    for first in range(256):
        decode_name(bytes([first, 0x80]) + b"a").encode("utf-8")
