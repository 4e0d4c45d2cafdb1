"""Draws scenes with Blender's Cycles. Runs inside Blender (or a Python with bpy), never inside twinset.

    python blender_script.py          or          blender --background --factory-startup --python blender_script.py

Needs bpy and numpy only. Reads requests from standard input, one JSON object a line, and answers each by a line that
begins with ``twinset:`` and goes on as JSON, ``{"done": ...}`` or ``{"problem": ...}``; whatever else Blender prints is
its log. Ends with its input, and then takes away the folder that it was told of, as whoever asked may have been killed.
Meshes and materials stay until they are forgotten, so that geometry is sent once.
"""

from __future__ import annotations

import json
import shutil
import sys
import traceback

import numpy as np

MARK = "twinset:"
BOUNCES = 4
TRANSPARENT = 16


def prepare(bpy, request):
    """Settings that hold for all scenes."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="cycles")
    scene = bpy.context.scene
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device = "CYCLES", "CPU"
    render.use_persistent_data = True
    render.threads_mode, render.threads = "FIXED", request["threads"]
    render.film_transparent = True
    render.resolution_percentage = 100
    render.use_file_extension = False
    render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    render.image_settings.exr_codec = "NONE"
    render.image_settings.color_depth = "32"
    cycles.samples = request["samples"]
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = request["denoise"]
    if request["denoise"]:
        cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 1.0
    cycles.max_bounces = cycles.diffuse_bounces = cycles.glossy_bounces = BOUNCES
    cycles.transparent_max_bounces = TRANSPARENT
    cycles.sample_clamp_indirect = 0.0
    add_world(bpy, scene)
    return {"version": bpy.app.version_string}


def add_world(bpy, scene):
    """A sky whose radiance is a colour times (1 + share · height of the direction); sampled by the surfaces alone."""
    world = bpy.data.worlds.new("sky")
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    scene.world = world
    world.cycles.sampling_method = "NONE"
    tree = world.node_tree
    tree.nodes.clear()
    direction = tree.nodes.new("ShaderNodeTexCoord")
    parts = tree.nodes.new("ShaderNodeSeparateXYZ")
    share = tree.nodes.new("ShaderNodeMath")
    share.name, share.operation = "share", "MULTIPLY_ADD"
    share.inputs[2].default_value = 1.0
    light = tree.nodes.new("ShaderNodeBackground")
    light.name = "light"
    out = tree.nodes.new("ShaderNodeOutputWorld")
    tree.links.new(direction.outputs["Generated"], parts.inputs[0])
    tree.links.new(parts.outputs["Z"], share.inputs[0])
    tree.links.new(share.outputs[0], light.inputs["Strength"])
    tree.links.new(light.outputs[0], out.inputs["Surface"])
    turn = tree.nodes.new("ShaderNodeVectorRotate")
    turn.name, turn.rotation_type = "turn", "Z_AXIS"
    around = tree.nodes.new("ShaderNodeTexEnvironment")
    around.name = "around"
    tree.links.new(direction.outputs["Generated"], turn.inputs["Vector"])
    tree.links.new(turn.outputs[0], around.inputs["Vector"])


def put_sky(bpy, scene, request):
    """The sky's numbers, or a picture of all directions, its first row on top; what was made for it."""
    tree = scene.world.node_tree
    light, around, share = (tree.nodes[name] for name in ("light", "around", "share"))
    for link in (*light.inputs["Color"].links, *light.inputs["Strength"].links):
        tree.links.remove(link)
    if request["around"] is None:
        light.inputs["Color"].default_value = (*request["colour"], 1.0)
        share.inputs[1].default_value = request["share"]
        tree.links.new(share.outputs[0], light.inputs["Strength"])
        return []
    radiance = np.load(request["around"], allow_pickle=False)
    height, width = radiance.shape[:2]
    picture = bpy.data.images.new("around", width, height, float_buffer=True)
    full = np.ones((height, width, 4), np.float32)
    full[..., :3] = radiance[::-1]
    picture.colorspace_settings.name = "Linear Rec.709"
    picture.pixels.foreach_set(full.ravel())
    around.image = picture
    tree.nodes["turn"].inputs["Angle"].default_value = -request["turn"]
    light.inputs["Strength"].default_value = 1.0
    tree.links.new(around.outputs["Color"], light.inputs["Color"])
    return [(bpy.data.images, picture)]


def add_material(bpy, request):
    """A principled surface; its texture, sRGB bytes with the first row on top, times its linear colour."""
    made = bpy.data.materials.new(request["name"])
    if bpy.app.version < (5, 0):
        made.use_nodes = True
    tree = made.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    colour = request["colour"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = request["roughness"]
    shader.inputs["Metallic"].default_value = request["metallic"]
    shader.inputs["Specular IOR Level"].default_value = request["specular"]
    shown = add_texture(bpy, request, tree, shader) if request["texture"] is not None else None
    if request["opacity"] < 1:
        let_pass(request, tree, shader, shown)


def let_pass(request, tree, shader, shown):
    """Blends a surface with one that filters what comes from behind by the root of its colour."""
    glass, blend = tree.nodes.new("ShaderNodeBsdfTransparent"), tree.nodes.new("ShaderNodeMixShader")
    if shown is None:
        glass.inputs["Color"].default_value = (*(part**0.5 for part in request["colour"]), 1.0)
    else:
        root = tree.nodes.new("ShaderNodeVectorMath")
        root.operation = "POWER"
        root.inputs[1].default_value = (0.5, 0.5, 0.5)
        tree.links.new(shown, root.inputs[0])
        tree.links.new(root.outputs[0], glass.inputs["Color"])
    blend.inputs[0].default_value = request["opacity"]
    tree.links.new(glass.outputs[0], blend.inputs[1])
    tree.links.new(shader.outputs[0], blend.inputs[2])
    out = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(blend.outputs[0], out.inputs["Surface"])


def add_texture(bpy, request, tree, shader):
    """The texture times the colour as the surface's colour; where it comes out."""
    texels = np.load(request["texture"], allow_pickle=False)
    height, width = texels.shape[:2]
    picture = bpy.data.images.new(request["name"], width, height)
    full = np.ones((height, width, 4), np.float32)
    full[..., :3] = texels[::-1] / np.float32(255)
    picture.pixels.foreach_set(full.ravel())
    picture.pack()
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = picture
    product = tree.nodes.new("ShaderNodeVectorMath")
    product.operation = "MULTIPLY"
    product.inputs[1].default_value = request["colour"]
    tree.links.new(texture.outputs["Color"], product.inputs[0])
    tree.links.new(product.outputs[0], shader.inputs["Base Color"])
    return product.outputs[0]


def add_mesh(bpy, request):
    """Triangles that share nothing: corners (F, 3, 3), with normals (F, 3, 3) and uv (F, 3, 2) or none of them."""
    with np.load(request["file"], allow_pickle=False) as stored:
        corners, normals, uv, numbers = (stored[name] for name in ("corners", "normals", "uv", "numbers"))
    faces = len(corners)
    made = bpy.data.meshes.new(request["name"])
    made.vertices.add(3 * faces)
    made.vertices.foreach_set("co", np.ascontiguousarray(corners, np.float32).ravel())
    made.loops.add(3 * faces)
    made.loops.foreach_set("vertex_index", np.arange(3 * faces, dtype=np.int32))
    made.polygons.add(faces)
    made.polygons.foreach_set("loop_start", np.arange(0, 3 * faces, 3, dtype=np.int32))
    made.polygons.foreach_set("material_index", np.ascontiguousarray(numbers, np.int32))
    for name in request["materials"]:
        made.materials.append(bpy.data.materials[name])
    if len(uv):
        made.uv_layers.new(name="uv").data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).ravel())
    made.update(calc_edges=True)
    if len(normals):
        made.polygons.foreach_set("use_smooth", np.ones(faces, bool))
        made.normals_split_custom_set(normals.reshape(-1, 3).tolist())
    else:
        made.polygons.foreach_set("use_smooth", np.zeros(faces, bool))


def forget(bpy, request):
    """Meshes and materials that no scene will name again, with the textures of the latter."""
    for name in request["meshes"]:
        bpy.data.meshes.remove(bpy.data.meshes[name])
    for name in request["materials"]:
        made = bpy.data.materials[name]
        pictures = [node.image for node in made.node_tree.nodes if node.type == "TEX_IMAGE"]
        bpy.data.materials.remove(made)
        for picture in pictures:
            bpy.data.images.remove(picture)


def put_camera(bpy, mathutils, scene, request):
    """Exactly the intrinsics, of square pixels: the principal point by a shift, in widths of the picture."""
    (height, width), (cx, cy) = request["size"], request["centre"]
    scene.render.resolution_x, scene.render.resolution_y = width, height
    lens = bpy.data.cameras.new("camera")
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
    lens.lens = 36.0 * request["focal"] / width
    lens.shift_x = 0.5 - cx / width
    lens.shift_y = (cy - height / 2) / width
    lens.clip_start, lens.clip_end = 1e-4, 1e6
    seeing = bpy.data.objects.new("camera", lens)
    seeing.matrix_world = mathutils.Matrix(request["pose"])
    scene.collection.objects.link(seeing)
    scene.camera = seeing
    return [(bpy.data.objects, seeing), (bpy.data.cameras, lens)]


def put_lights(bpy, mathutils, scene, lights):
    """Suns, which shine along their −z."""
    made = []
    for number, light in enumerate(lights):
        sun = bpy.data.lights.new(f"light{number}", type="SUN")
        sun.energy, sun.color, sun.angle = light["strength"], light["colour"], light["angle"]
        sun.use_shadow = light["shadows"]
        shining = bpy.data.objects.new(f"light{number}", sun)
        shining.matrix_world = mathutils.Matrix(light["pose"])
        scene.collection.objects.link(shining)
        made += [(bpy.data.objects, shining), (bpy.data.lights, sun)]
    return made


def put_objects(bpy, mathutils, scene, objects):
    """Objects of meshes that were sent before; a shadow catcher is of a material of its own."""
    made = []
    for number, one in enumerate(objects):
        thing = bpy.data.objects.new(f"object{number}", bpy.data.meshes[one["mesh"]])
        thing.matrix_world = mathutils.Matrix(one["pose"])
        thing.pass_index = number + 1
        if one["catcher"]:
            thing.is_shadow_catcher = True
            thing.material_slots[0].link = "OBJECT"
            thing.material_slots[0].material = bpy.data.materials[one["material"]]
        scene.collection.objects.link(thing)
        made.append((bpy.data.objects, thing))
    return made


def draw(bpy, request):
    """One picture into an EXR file; what was put into the scene for it is taken out again."""
    import mathutils

    scene = bpy.context.scene
    layer, cycles = scene.view_layers[0], scene.cycles
    cycles.seed = request["seed"]
    labels = request["labels"]
    samples, denoising = cycles.samples, cycles.use_denoising
    if labels:
        cycles.samples, cycles.use_denoising, cycles.filter_width = 1, False, 0.01
    layer.use_pass_z = layer.use_pass_object_index = labels
    layer.cycles.use_pass_shadow_catcher = not labels and any(one["catcher"] for one in request["objects"])
    made = put_sky(bpy, scene, request["sky"]) + put_camera(bpy, mathutils, scene, request["camera"])
    try:
        made += put_lights(bpy, mathutils, scene, request["lights"])
        made += put_objects(bpy, mathutils, scene, request["objects"])
        scene.render.filepath = request["out"]
        bpy.ops.render.render(write_still=True)
    finally:
        for store, each in made:
            store.remove(each)
        cycles.samples, cycles.use_denoising, cycles.filter_width = samples, denoising, 1.0


def main():
    """Answers requests until there are none."""
    import bpy

    does = {"prepare": prepare, "material": add_material, "mesh": add_mesh, "forget": forget, "draw": draw}
    folder = None
    try:
        for line in sys.stdin:
            request = json.loads(line)
            folder = request.get("folder", folder)
            try:
                answer = {"done": does[request["do"]](bpy, request)}
            except Exception:  # whatever Blender raises, who asked raises it again
                answer = {"problem": traceback.format_exc()}
            print(f"\n{MARK}{json.dumps(answer)}", flush=True)
    finally:
        # Also where the answer finds nobody who listens.
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
