"""Recognise file formats by the first bytes, so that messages about unreadable files can name the format."""

import re

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"mif2"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "Canon's raw format CR3",
    b"qt  ": "a QuickTime video",
}
# At the beginning of the file.
_MAGIC = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n", "PNG"),
    (rb"GIF8", "GIF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"\xff\xd8\xff\xf7|\xff\xd8\xff\xe8....SPIFF", "JPEG-LS"),
    (rb"8BPS", "Photoshop"),
    (rb"gimp xcf", "GIMP"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"II\*\0....CR", "Canon's raw format CR2"),
    (rb"\0\0\0\x18ftypcrx ", "Canon's raw format CR3"),
    (rb"FUJIFILMCCD-RAW", "Fujifilm's raw format RAF"),
    (rb"IIR[OS]|MMOR", "Olympus's raw format ORF"),
    (rb"IIU\0", "Panasonic's raw format RW2"),
    (rb"\0MRM", "Minolta's raw format MRW"),
    (rb"FOVb", "Sigma's raw format X3F"),
    (rb"(II\x2b\0|MM\0\x2b)", "BigTIFF"),
    (rb"(II\*\0|MM\0\*)", "TIFF"),
    (rb"BM", "BMP"),
    (rb"\0\0\x01\0", "an icon"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR"),
    (rb"DDS ", "DDS"),
    (rb"P[1-7]\s", "Netpbm"),
    (rb"SIMPLE  =", "FITS"),
    (rb".{128}DICM", "DICOM"),
    (rb"\x0a[\0-\x05]\x01", "PCX"),
    (rb"\x89HDF", "HDF5"),
    (rb"RIFF....AVI |\0\0\x01\xba|\x1aE\xdf\xa3|OggS|FLV", "a video"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "an archive"),
    (rb"\0\x05\x16[\0\x07]", "a resource fork of macOS"),
    (rb"version https://git-lfs", "a pointer of Git LFS"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg", "SVG"),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page"),
)
_PATTERNS = [(re.compile(pattern, re.DOTALL), name) for pattern, name in _MAGIC]
_LOOKED_AT = 1024


def format_of(data: bytes) -> str:
    """Return the common name of a file's format by its first bytes; empty if the format is unknown."""
    head = data[:_LOOKED_AT]
    if head[4:8] == b"ftyp":
        # The major brand, then the compatible ones.
        for start in (8, *range(16, min(int.from_bytes(head[:4], "big"), 64), 4)):
            if head[start : start + 4] in _BRANDS:
                return _BRANDS[head[start : start + 4]]
        return "a video"
    return next((name for pattern, name in _PATTERNS if pattern.match(head)), "")
