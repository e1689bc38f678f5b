// shaders.js - how bone and implant are lit. `cut` is a plane in world millimetres (RAS): what lies beyond it is not drawn; the
// inside of a surface, seen through the cut, is painted flat, which makes the cut bone look solid.

const head = `#version 300 es
precision highp int;
precision highp float;
uniform float opacity;
uniform vec4 cut;
in vec4 vClr;
in vec3 vN;
in vec4 vP;
out vec4 color;
`

export const surfaceShader = `${head}
void main() {
  if (dot(vP.xyz, cut.xyz) > cut.w) discard;
  vec3 n = normalize(vec3(vN.xy, abs(vN.z)));
  float key = max(dot(n, normalize(vec3(-0.45, 0.65, 0.75))), 0.0);
  float fill = max(dot(n, normalize(vec3(0.8, -0.2, 0.5))), 0.0);
  float shine = pow(max(dot(n, normalize(vec3(-0.25, 0.4, 1.0))), 0.0), 40.0);
  vec3 lit = vClr.rgb * (0.26 + 0.68 * key + 0.2 * fill) + 0.1 * shine;
  float glass = opacity < 1.0 ? opacity * mix(1.0, 0.35, n.z * n.z) : 1.0; // a thin shell is densest where it turns away
  color = vec4(lit, glass);
}`

export const cutShader = `${head}
void main() {
  if (dot(vP.xyz, cut.xyz) > cut.w) discard;
  color = vec4(vClr.rgb * 0.8, opacity);
}`
