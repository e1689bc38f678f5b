#!/usr/bin/env python3
"""Makes tests/data/golden/dicom/*.zip: a ball of soft tissue in a shell of bone (48 to 56 mm) as small DICOM series.

    python3 -m venv venv && venv/bin/pip install pydicom numpy && venv/bin/python scripts/golden/dicom.py

plain.zip   40 slices of 4 mm, rescale -1024, padding -2000 outside the round field of view, and a scout of one image
tilt.zip    the same with the gantry tilted by 12 degrees
uneven.zip  the same, every slice of the upper half except one in two left out
rle.zip     plain, in the transfer syntax RLE Lossless
two.zip     plain, and a second series of thick slices
The patient's name is "NOBODY^SECRET": no output of calvaria may hold it.
"""
import io
import os
import zipfile

import numpy
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

N, MM = 48, 4.0
OUT = os.path.join(os.path.dirname(__file__), '../../tests/data/golden/dicom')


def stored(x, y, z):
    """Stored value at a point in mm from the middle: HU + 1024, -2000 outside the field of view."""
    r = numpy.sqrt(x * x + y * y + z * z)
    hu = numpy.where(r < 48, 35, numpy.where(r < 56, 900, numpy.where(r < 62, 40, -1000)))
    return numpy.where(numpy.hypot(x, y) > 92, -2000, hu + 1024).astype('<i2')


def image(series, number, pixels, position, orientation, thickness, description, kind, syntax):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f'1.2.826.0.1.3680043.8.498.{series}.{number}'
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = '1.2.826.0.1.3680043.8.498.1'
    ds.SeriesInstanceUID = f'1.2.826.0.1.3680043.8.498.1.{series}'
    ds.FrameOfReferenceUID = '1.2.826.0.1.3680043.8.498.2'
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = 'NOBODY^SECRET', 'SECRET7', '19700101'
    ds.Modality, ds.Manufacturer, ds.ImageType = 'CT', 'calvaria', kind
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = '20200101'
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = '120000'
    ds.SeriesDescription, ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = description, series, number, 1
    ds.PatientPosition = 'HFS'
    ds.ImagePositionPatient, ds.ImageOrientationPatient = list(position), list(orientation)
    ds.PixelSpacing, ds.SliceThickness, ds.SliceLocation = [MM, MM], thickness, position[2]
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, 'MONOCHROME2'
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelPaddingValue = -2000
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, 'HU'
    ds.PixelData = pixels.tobytes()
    if syntax is RLELossless:
        ds.compress(RLELossless)
    data = io.BytesIO()
    pydicom.dcmwrite(data, ds, enforce_file_format=True)
    return data.getvalue()


def series(number, zs, thickness=MM, tilt=0.0, description='HEAD 4.0 BONE', syntax=ExplicitVRLittleEndian):
    c, s = numpy.cos(numpy.radians(tilt)), numpy.sin(numpy.radians(tilt))
    axis = (numpy.arange(N) - (N - 1) / 2) * MM
    u, v = numpy.meshgrid(axis, axis)
    files = {}
    for i, z in enumerate(zs):
        y, zz = v * c, z + v * s
        first = (axis[0], axis[0] * c, z + axis[0] * s)
        files[f'series{number}/IM{i + 1:04d}'] = image(number, i + 1, stored(u, y, zz), first, (1, 0, 0, 0, c, s),
                                                       thickness, description, ['ORIGINAL', 'PRIMARY', 'AXIAL'], syntax)
    return files


def scout():
    axis = (numpy.arange(N) - (N - 1) / 2) * MM
    u, v = numpy.meshgrid(axis, axis)
    return {'scout/IM0001': image(1, 1, stored(u, 0 * u, -v), (axis[0], 0, -axis[0]), (1, 0, 0, 0, 0, -1), MM, 'SCOUT',
                                  ['ORIGINAL', 'PRIMARY', 'LOCALIZER'], ExplicitVRLittleEndian)}


def write(name, files):
    with zipfile.ZipFile(os.path.join(OUT, name), 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


os.makedirs(OUT, exist_ok=True)
every = (numpy.arange(40) - 19.5) * MM
write('plain.zip', {**series(2, every), **scout()})
write('tilt.zip', series(2, every, tilt=12.0))
write('uneven.zip', series(2, numpy.concatenate([every[:20], every[20::2]])))
write('rle.zip', series(2, every, syntax=RLELossless))
write('two.zip', {**series(2, every), **series(3, every[::2], 2 * MM, description='HEAD 8.0 SOFT')})
