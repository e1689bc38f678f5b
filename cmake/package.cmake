# Packages: `cpack --config build/CPackConfig.cmake -B packages` makes calvaria-infer (the restoring program alone, no training, no web, no MPI) and
# calvaria (everything else; needs the first). Dependencies are what the programs link, found by dpkg-shlibdeps.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "calvaria")
set(CPACK_PACKAGE_CONTACT "the calvaria authors <calvaria@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL infer calvaria)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_INFER_PACKAGE_NAME calvaria-infer)
set(CPACK_DEBIAN_CALVARIA_PACKAGE_NAME calvaria)
set(CPACK_DEBIAN_CALVARIA_PACKAGE_DEPENDS "calvaria-infer (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CALVARIA_PACKAGE_RECOMMENDS "gnuplot-nox")
set(CPACK_COMPONENT_INFER_DESCRIPTION
    "Restores defective skulls with a trained model: completed skull, implant, mesh, report. Research software, not for clinical use.")
set(CPACK_COMPONENT_CALVARIA_DESCRIPTION
    "Trains networks that restore skulls, synthesizes defects, evaluates, exports, serves the web page. Research software, not for clinical use.")
include(CPack)
