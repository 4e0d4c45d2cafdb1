"""Intel's Open Image Denoise (Apache 2.0), by the package pyoidn."""

from __future__ import annotations

import numpy as np

from twinset.errors import TwinsetError
from twinset.generators.rendering.tracing.layers import Light32


def denoised(light: Light32, albedo: Light32 | None, normals: Light32 | None) -> Light32:
    """Linear light float32 (H, W, 3) without its noise, after reflectance 0…1 and unit normals where they are known."""
    import pyoidn

    result = np.empty_like(light, dtype=np.float32, order="C")
    # Kept here until the filter ran: it reads these arrays where they lie.
    images = {pyoidn.OIDN_IMAGE_COLOR: light, pyoidn.OIDN_IMAGE_ALBEDO: albedo, pyoidn.OIDN_IMAGE_NORMAL: normals}
    arrays = {name: np.ascontiguousarray(image, np.float32) for name, image in images.items() if image is not None}
    arrays[pyoidn.OIDN_IMAGE_OUTPUT] = result
    with pyoidn.Device(pyoidn.OIDN_DEVICE_TYPE_CPU) as device:
        device.commit()
        with pyoidn.Filter(device, pyoidn.OIDN_FILTER_TYPE_RT) as filter_:
            for name, array in arrays.items():
                filter_.set_image(name, array, pyoidn.OIDN_FORMAT_FLOAT3)
            filter_.set_bool("hdr", True)
            filter_.commit()
            filter_.execute()
        problem = device.get_error()
    if problem is not None:
        raise TwinsetError(f"expected Open Image Denoise to filter a picture; got {problem}", hint="set denoise: false")
    return result
